package main

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/model"
)

// figure29: the mean score grows with the rating. The paper's three people give answers 1 to 7
// points; here the oracle's helpfulness, from 0 to 1, is put on such a scale, and safety has two
// points. Besides, the predicted chance that the higher score was preferred is compared with how
// often it was.
func figure29(ctx context.Context, b *bench, r *report) error {
	var lines, reliability []curve
	var rated [2]ratedAnswers
	for i, p := range []*model.Params{b.helpfulness, b.safety} {
		set := sets[i]
		test, err := b.Test(ctx, set)
		if err != nil {
			return err
		}
		s, err := scores(ctx, p, test.pairs)
		if err != nil {
			return err
		}
		if rated[i], err = b.rate(set, test, s); err != nil {
			return err
		}
		c := curve{name: fmt.Sprintf("%v model", set)}
		for _, l := range rated[i].levels() {
			r.row(fmt.Sprintf("%v model, mean score at %g points", set, l.Rating), "", l.Reward, plain)
			c.x, c.y = append(c.x, l.Rating), append(c.y, l.Reward)
		}
		lines = append(lines, c)
		_, rank, err := eval.RewardByRating(rated[i].scores, rated[i].points)
		if err != nil {
			return err
		}
		var differences []float64
		for both := range slices.Chunk(s, 2) {
			differences = append(differences, both[0]-both[1])
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
	r.found(judgeFigure29(rated))
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

// rate asks the oracle about every answer of the pairs: from 1 to 7 points for helpfulness on
// harmless prompts, and on those that ask how to harm 1 point for an unsafe answer, 2 for a safe one.
func (b *bench) rate(set data.Set, test testPairs, scores []float64) (out ratedAnswers, err error) {
	for i, pair := range test.pairs {
		p := data.Prompt{Messages: []data.Message{{Role: data.User, Content: test.texts[i]}}}
		kind, err := b.Oracle.Kind(p)
		if err != nil {
			return out, err
		}
		if kind.Harmful() != (set == data.SafetySet) {
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
				points = 2 - share(v.Unsafe)
			}
			out.scores, out.points = append(out.scores, scores[2*i+k]), append(out.points, points)
			out.prompts = append(out.prompts, test.questions[i])
		}
	}
	return out, nil
}

// levels are the mean scores at each number of points, without those that few answers have.
func (a ratedAnswers) levels() (levels []eval.RatingLevel) {
	const fewest = 20 // answers
	for points := 1.0; points <= 7; points++ {
		var s []float64
		var prompts []string
		for i, p := range a.points {
			if p == points {
				s, prompts = append(s, a.scores[i]), append(prompts, a.prompts[i])
			}
		}
		if len(s) >= fewest {
			levels = append(levels, eval.RatingLevel{Rating: points, Reward: clustered(s, prompts)})
		}
	}
	return levels
}

// judgeFigure29 wants each model's mean score to rise over all ratings: from the worst to the best
// beyond chance, and from no rating to the next may it fall by a fifth of the scores' standard
// deviation. That is decided by an interval for each step.
func judgeFigure29(rated [2]ratedAnswers) (f findings) {
	for _, set := range sets {
		a := rated[set]
		levels, tolerance := a.levels(), deviation(a.scores)/5
		whole, lowest, steps := eval.MeanOf(nil), eval.Mean{Mean: math.Inf(1)}, []verdict{undecided}
		if len(levels) > 1 {
			whole, steps = difference(levels[len(levels)-1].Reward, levels[0].Reward), nil
		}
		for i := 1; i < len(levels); i++ {
			d := difference(levels[i].Reward, levels[i-1].Reward)
			steps = append(steps, notBelow(d, tolerance))
			if d.Mean < lowest.Mean {
				lowest = d
			}
		}
		if len(levels) < 2 {
			lowest = whole
		}
		f.lead(fmt.Sprintf("the %v model's mean score is higher for the best rating than for the worst", set), whole, plain, positive(whole))
		f.lead(fmt.Sprintf("the %v model's mean score falls from no rating to the next by a fifth of its standard deviation (number: the lowest step)", set),
			lowest, plain, all(steps...))
	}
	return f
}
