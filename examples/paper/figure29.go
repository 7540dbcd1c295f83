package main

import (
	"context"
	"fmt"
	"math"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/model"
)

// figure29: the mean score grows with the rating. The paper's three people give answers 1 to 7 points; here the oracle's helpfulness, from 0 to 1, is put on such a
// scale, and safety has two points. Besides, the predicted chance that the higher score was preferred is compared with how often it was.
func figure29(ctx context.Context, b *bench, r *report) error {
	helpfulness, safety, err := b.Judges(ctx)
	if err != nil {
		return err
	}
	var lines, reliability []curve
	for i, p := range []*model.Params{helpfulness, safety} {
		set := sets[i]
		test, err := b.Test(ctx, set)
		if err != nil {
			return err
		}
		s, err := scores(ctx, p, test.pairs)
		if err != nil {
			return err
		}
		rated, err := b.rate(set, test, s)
		if err != nil {
			return err
		}
		levels, verdict := rated.levels()
		c := curve{name: fmt.Sprintf("%v model", set)}
		for _, l := range levels {
			r.row(fmt.Sprintf("%v model, mean score at %g points", set, l.Rating), "", l.Reward, plain)
			c.x, c.y = append(c.x, l.Rating), append(c.y, l.Reward)
		}
		lines = append(lines, c)
		_, rank, err := eval.RewardByRating(rated.scores, rated.points)
		if err != nil {
			return err
		}
		whole := eval.MeanOf(nil)
		if len(levels) > 1 {
			whole = difference(levels[len(levels)-1].Reward, levels[0].Reward)
		}
		r.direction(fmt.Sprintf("the %v model's mean score is higher for the best rating than for the worst", set), whole, plain, positive(whole))
		r.claim(fmt.Sprintf("the %v model's mean score falls from no rating to the next (number: from the worst to the best)", set), whole, plain, verdict)

		differences := make([]float64, len(test.pairs))
		for k := range differences {
			differences[k] = s[2*k] - s[2*k+1]
		}
		cal, err := eval.CalibratePreferences(differences, 8, eval.EqualCount)
		if err != nil {
			return err
		}
		r.note("%v model: rank correlation of score and rating %.2f; of its preferences, expected calibration error %.3f, Brier score %.3f", set, rank, cal.ECE, cal.Brier)
		c = curve{name: fmt.Sprintf("%v model", set)}
		for _, bin := range cal.Bins {
			c.x, c.y = append(c.x, bin.Predicted), append(c.y, bin.Observed)
		}
		reliability = append(reliability, c)
	}
	r.note("the margin in the loss, which σ does not know, makes a model surer than people are")
	if err := newPicture("Predicted and observed preference", "predicted", "observed").curves(reliability...).save(r.path("-preferences.png")); err != nil {
		return err
	}
	return newPicture(r.Title, "rating", "mean score").curves(lines...).save(r.picture())
}

// ratedAnswers are answers with their scores and points.
type ratedAnswers struct {
	scores, points []float64
	prompts        []string
}

// rate asks the oracle about every answer of the pairs: from 1 to 7 points for helpfulness where there is no hazard, and on hazards 1 point for an
// unsafe answer, 2 for a safe one.
func (b *bench) rate(set data.Set, test testPairs, scores []float64) (out ratedAnswers, err error) {
	for i, pair := range test.pairs {
		p := data.Prompt{Messages: []data.Message{{Role: data.User, Content: test.prompts[i]}}}
		kind, err := b.Oracle.Kind(p)
		if err != nil {
			return out, err
		}
		if (kind == hazard) != (set == data.SafetySet) {
			continue
		}
		for k, ids := range [][]int32{pair.Chosen, pair.Rejected} {
			text, err := b.Tok.Decode(ids)
			if err != nil {
				return out, err
			}
			v, err := b.Oracle.Judge(p, text)
			if err != nil {
				return out, err
			}
			points := 1 + math.Round(6*min(max(v.Helpfulness, 0), 1))
			if set == data.SafetySet {
				points = 2
				if v.Unsafe {
					points = 1
				}
			}
			out.scores, out.points = append(out.scores, scores[2*i+k]), append(out.points, points)
			out.prompts = append(out.prompts, test.prompts[i])
		}
	}
	return out, nil
}

// levels are the mean scores at each number of points.
func (a ratedAnswers) levels() (levels []eval.RatingLevel, v verdict) {
	v = undecided
	var means []eval.Mean
	for points := 1.0; points <= 7; points++ {
		var s []float64
		var prompts []string
		for i, p := range a.points {
			if p == points {
				s, prompts = append(s, a.scores[i]), append(prompts, a.prompts[i])
			}
		}
		if len(s) >= 20 { // too few say nothing
			m := clustered(s, prompts)
			levels, means = append(levels, eval.RatingLevel{Rating: points, Reward: m}), append(means, m)
		}
	}
	if len(means) > 1 {
		_, v = rises(means...)
	}
	return levels, v
}
