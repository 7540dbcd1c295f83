package main

import (
	"context"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pipeline"
)

// evaluate samples an answer of each version to each test prompt and measures it. Gains and divergences are against
// versions[reference]. The third model has no part in any training.
func (l *bench) evaluate(ctx context.Context, versions []version, reference int, j, third *pipeline.Judges) ([]versionRow, error) {
	rows := make([]versionRow, len(versions))
	rewards, opinions := make([][]float64, len(versions)), make([][]float64, len(versions))
	for i, v := range versions {
		answers, err := l.sample(ctx, "test answers of "+v.name, v.model, l.test)
		if err != nil {
			return nil, err
		}
		if opinions[i], err = third.Reward(ctx, answers); err != nil {
			return nil, err
		}
		if rows[i], rewards[i], err = l.measure(ctx, v, versions[reference].model, answers, j); err != nil {
			return nil, err
		}
	}
	for i := range rows {
		rows[i].Gain, rows[i].GainHelpful, rows[i].GainSafe = l.byTag(minus(rewards[i], rewards[reference]))
		rows[i].Third, _, _ = l.byTag(minus(opinions[i], opinions[reference]))
	}
	return rows, nil
}

// measure is a version's row without its gains, and the reward of each answer.
func (l *bench) measure(ctx context.Context, v version, reference *model.Params, answers []data.Answer, j *pipeline.Judges) (versionRow, []float64, error) {
	row := versionRow{Version: v.name}
	var err error
	if row.Example, err = l.Tok.Decode(answers[l.shortest()].Tokens); err != nil {
		return row, nil, err
	}
	rewards, bySafety, err := j.Rewards(ctx, answers)
	if err != nil {
		return row, nil, err
	}
	var lengths, ended []float64
	var finished, gated []bool
	for i, a := range answers {
		lengths = append(lengths, float64(len(a.Tokens)))
		finished = append(finished, a.Finished)
		if a.Finished {
			ended = append(ended, rewards[i])
		}
		if !a.Prompt.Safety {
			gated = append(gated, bySafety[i])
		}
	}
	kl, err := eval.KL(ctx, v.model, reference, answers, 1, microTokens, microSegments)
	if err != nil {
		return row, nil, err
	}
	loss, err := nll(ctx, v.model, l.corpus.heldOut.examples())
	if err != nil {
		return row, nil, err
	}
	row.Reward, row.Helpful, row.Safe = l.byTag(rewards)
	row.Ended, row.Gated = mean(ended), share(gated)
	row.Loss, row.KL = mean(loss), mean(kl)
	row.Length, row.Finished = mean(lengths), share(finished)
	return row, rewards, nil
}

// mean and share are those of package eval, but 0 and not NaN, which JSON cannot hold, where there is too little.
func mean(values []float64) eval.Mean {
	if len(values) < 2 {
		return eval.Mean{N: len(values)}
	}
	return eval.MeanOf(values)
}

func share(values []bool) eval.Mean {
	if len(values) == 0 {
		return eval.Mean{}
	}
	return eval.ShareOf(values)
}

func minus(a, b []float64) []float64 {
	difference := make([]float64, len(a))
	for i := range a {
		difference[i] = a[i] - b[i]
	}
	return difference
}

// byTag averages what belongs to the test prompts: all, those without and those with the safety tag.
func (l *bench) byTag(values []float64) (all, helpful, safe eval.Mean) {
	var split [2][]float64
	for i, p := range l.test {
		k := 0
		if p.Safety {
			k = 1
		}
		split[k] = append(split[k], values[i])
	}
	return mean(values), mean(split[0]), mean(split[1])
}

// shortest is the test prompt whose answers are shown.
func (l *bench) shortest() int {
	best := 0
	for i, p := range l.test {
		if len(p.tokens) < len(l.test[best].tokens) {
			best = i
		}
	}
	return best
}
