package main

import (
	"context"
	"fmt"
	"math"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
)

// margin is one of the three choices of Table 27, with what the helpfulness model trained with it says of the helpfulness set's test pairs.
type margin struct {
	name   string
	values rewardmodel.Margins
	scores []float64
}

// margins trains a helpfulness model with each. All else is as in the run.
func (b *bench) margins(ctx context.Context) ([]margin, testPairs, error) {
	test, err := b.Test(ctx, data.HelpfulnessSet)
	if err != nil {
		return nil, test, err
	}
	pairs, _, err := b.mixes(len(b.rounds))
	if err != nil {
		return nil, test, err
	}
	list := []margin{
		{name: "no margin", values: rewardmodel.NoMargin}, {name: "small margin", values: rewardmodel.SmallMargin}, {name: "large margin", values: rewardmodel.LargeMargin},
	}
	for i := range list {
		m := &list[i]
		cfg := b.Iteration.Helpfulness
		p := b.helpfulness // the run's own
		if m.values != cfg.Margins {
			cfg.Margins = m.values
			if p, err = b.rewardModel(ctx, fmt.Sprintf("helpfulness-margin-%g", m.values.Significantly), startName, pairs, cfg); err != nil {
				return nil, test, err
			}
		}
		if m.scores, err = scores(ctx, p, test.pairs); err != nil {
			return nil, test, err
		}
	}
	return list, test, nil
}

// table27: the margins, and figure 27 of the paper: the larger the margin, the more extreme the scores.
func table27(ctx context.Context, b *bench, r *report) error {
	list, test, err := b.margins(ctx)
	if err != nil {
		return err
	}
	all := numbers(list, func(m margin) []float64 { return m.scores })
	d, err := eval.Distribute(all, 30, 0)
	if err != nil {
		return err
	}
	pic := newPicture("Figure 27: scores by margin", "score", "share of answers")
	for i, m := range list {
		v := m.values
		r.row(m.name, fmt.Sprintf("m = %.2g, %.2g, %.2g, %.2g", v.Significantly, v.Better, v.Slightly, v.Negligibly), clustered(gaps(m.scores), test.questions), plain)
		pic.steps(m.name, d.Edges, d.Versions[i].Counts)
	}
	r.note("the numbers are mean differences between the scores of two answers to a prompt; standard deviations of all scores: %.2f, %.2f, %.2f; bimodality (5/9 for an even spread, above for two peaks): %.2f, %.2f, %.2f",
		deviation(all[0]), deviation(all[1]), deviation(all[2]), bimodality(all[0]), bimodality(all[1]), bimodality(all[2]))
	r.found(judgeTable27(list, test.questions))
	return pic.save(r.picture())
}

// judgeTable27 takes the models from no margin to the large one.
func judgeTable27(list []margin, questions []string) (f findings) {
	for i := 1; i < len(list); i++ {
		f.leadAbove(fmt.Sprintf("scores are further apart with %s than with %s", list[i].name, list[i-1].name), gain(gaps(list[i].scores), gaps(list[i-1].scores), questions), plain)
	}
	none, large := list[0].scores, list[len(list)-1].scores
	f.above("scores are more bimodal with the large margin than with none", bootstrap(questions, func(pick []int) float64 { return bimodality(both(large, pick)) - bimodality(both(none, pick)) }), plain)
	return f
}

// gaps are the differences between the scores of the two answers of each pair, without their sign.
func gaps(scores []float64) []float64 {
	out := make([]float64, len(scores)/2)
	for i := range out {
		out[i] = math.Abs(scores[2*i] - scores[2*i+1])
	}
	return out
}

// both are the two scores of the picked pairs.
func both(scores []float64, pick []int) []float64 {
	out := make([]float64, 0, 2*len(pick))
	for _, i := range pick {
		out = append(out, scores[2*i], scores[2*i+1])
	}
	return out
}

// bimodality is Sarle's coefficient (skewness² + 1) / kurtosis: 1 for two points, 5/9 for an even spread, 1/3 for a normal distribution.
func bimodality(values []float64) float64 {
	n, mean := float64(len(values)), 0.0
	for _, v := range values {
		mean += v / n
	}
	var m2, m3, m4 float64
	for _, v := range values {
		d := v - mean
		m2, m3, m4 = m2+d*d/n, m3+d*d*d/n, m4+d*d*d*d/n
	}
	return (m3*m3/(m2*m2*m2) + 1) / (m4 / (m2 * m2))
}
