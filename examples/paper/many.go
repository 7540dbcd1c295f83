package main

import (
	"context"
	"fmt"
	"math"

	"github.com/tame-rlhf/tame/examples/internal/lab"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/model"
)

// many is the largest number of answers to a prompt in figures 7 and 8, and asked the number of
// prompts, the first ones for validation.
type many struct{ answers, asked int }

// enough is what both figures need; few shows only that they work.
var (
	enough = many{64, 120}
	few    = many{4, 10}
)

// drawn is an answer of which only what judges say is kept.
type drawn struct {
	PromptID    string  `arrow:"prompt_id"`
	Finished    bool    `arrow:"finished"`
	Reward      float64 `arrow:"reward"`      // combined, of the run's newest reward models
	General     float64 `arrow:"general"`     // of the general reward model, which never chooses
	Helpfulness float64 `arrow:"helpfulness"` // by the oracle; NaN where a prompt asks how to harm
}

// Schema is drawn v1.
func (drawn) Schema() data.Schema { return data.Schema{Name: "drawn", Version: 1} }

// draws are the finished answers to each prompt, in the order of sampling: (prompts, answers). An
// answer that did not end by itself is never chosen (section 3.2.3).
func (b *bench) draws(ctx context.Context, v version, temperature float64) ([][]drawn, error) {
	general, err := b.General(ctx)
	if err != nil {
		return nil, err
	}
	asked := b.World.ValidationPrompts()
	asked = asked[:min(b.many.asked, len(asked))]
	s := step{"many answers", map[string]any{"temperature": temperature, "prompts": len(asked), "answers": b.many.answers}, 8,
		[]string{v.path, b.last + "/helpfulness", b.last + "/safety", generalName}}
	list, err := rows(&b.cache, fmt.Sprintf("many/%s-%.1f.arrow", v.path, temperature), s, func() ([]drawn, error) {
		sampled, err := b.sample(ctx, fmt.Sprintf("%s at %.1f", v.name, temperature), v.path, asked, b.many.answers, temperature, 8)
		if err != nil {
			return nil, err
		}
		return b.drawn(ctx, general, sampled, temperature)
	})
	if err != nil {
		return nil, err
	}
	out := make([][]drawn, len(asked))
	for i, a := range list {
		if a.Finished {
			out[i/b.many.answers] = append(out[i/b.many.answers], a)
		}
	}
	return out, nil
}

// drawn judges sampled answers.
func (b *bench) drawn(ctx context.Context, general *model.Params, sampled []lab.Answer, temperature float64) ([]drawn, error) {
	scored := lab.Rows(sampled, temperature)
	if _, err := lab.Score(ctx, b.judges, scored, sampled); err != nil {
		return nil, err
	}
	third, err := scoreAnswers(ctx, general, asAnswers(scored))
	if err != nil {
		return nil, err
	}
	list := make([]drawn, len(scored))
	for i, a := range scored {
		v, err := b.Oracle.Judge(sampled[i].Asked, a.Text)
		if err != nil {
			return nil, err
		}
		if v.Kind.Harmful() {
			v.Helpfulness = math.NaN()
		}
		list[i] = drawn{a.PromptID, a.Finished, *a.Combined, third[i], v.Helpfulness}
	}
	return list, nil
}

func rewardOf(d drawn) float64     { return d.Reward }
func generalOf(d drawn) float64    { return d.General }
func oracleHelpOf(d drawn) float64 { return d.Helpfulness }

// rewardsOf are the rewards of the answers to each prompt.
func rewardsOf(list [][]drawn) [][]float64 {
	return numbers(list, func(answers []drawn) []float64 { return numbers(answers, rewardOf) })
}

// ofBlocks is the mean, over blocks of n answers in the order of sampling, of a number of the
// block. What is left over is not used; fewer than n answers are one block.
func ofBlocks[T any](answers []T, n int, number func([]T) float64) float64 {
	n = max(1, min(n, len(answers)))
	sum, blocks := 0.0, 0
	for lo := 0; lo+n <= len(answers); lo += n {
		sum += number(answers[lo : lo+n])
		blocks++
	}
	return sum / float64(blocks)
}

func median(values []float64) float64 { return eval.Quantile(values, 0.5) }
