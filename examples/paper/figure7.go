package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/tame-rlhf/tame/examples/internal/lab"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/model"
)

// many is the largest number of answers to a prompt in figures 7 and 8, and asked the number of prompts, the first ones for validation.
type many struct{ answers, asked int }

// enough is what both figures need; few are for showing that they work.
var (
	enough = many{64, 120}
	few    = many{4, 10}
)

// rewards are the combined rewards of many answers to each prompt: (prompts, answers). Answers that did not end by themselves
// have none (section 3.2.3: they are never chosen).
func (b *bench) rewards(ctx context.Context, v version, temperature float64) ([][]float64, error) {
	rounds, err := b.Versions(ctx)
	if err != nil {
		return nil, err
	}
	last := fmt.Sprintf("%s/v%d", runName, len(rounds))
	asked := b.World.ValidationPrompts()
	asked = asked[:min(b.many.asked, len(asked))]
	s := step{"many answers", map[string]any{"temperature": temperature, "prompts": len(asked), "answers": b.many.answers}, 8, []string{v.path, last + "/helpfulness", last + "/safety"}}
	list, err := rows(&b.cache, fmt.Sprintf("many/%s-%.1f.arrow", v.path, temperature), s, func() ([]drawn, error) {
		p, err := model.Load(b.path(v.path))
		if err != nil {
			return nil, err
		}
		sampled, err := b.Sample(ctx, fmt.Sprintf("%s at %.1f", v.name, temperature), p, asked, b.many.answers, temperature, 8)
		if err != nil {
			return nil, err
		}
		j, err := b.judges(ctx)
		if err != nil {
			return nil, err
		}
		scored := lab.Rows(sampled, temperature)
		if _, err := lab.Score(ctx, j, scored, sampled); err != nil {
			return nil, err
		}
		list := make([]drawn, len(scored))
		for i, a := range scored {
			list[i] = drawn{a.PromptID, a.Finished, *a.Combined}
		}
		return list, nil
	})
	if err != nil {
		return nil, err
	}
	out := make([][]float64, len(asked))
	for i, a := range list {
		if a.Finished {
			out[i/b.many.answers] = append(out[i/b.many.answers], a.Reward)
		}
	}
	return out, nil
}

// drawn is an answer of which only the reward is wanted.
type drawn struct {
	PromptID string  `arrow:"prompt_id"`
	Finished bool    `arrow:"finished"`
	Reward   float64 `arrow:"reward"`
}

// Schema is drawn v1.
func (drawn) Schema() data.Schema { return data.Schema{Name: "drawn", Version: 1} }

// ofBlocks is the mean, over blocks of n answers in the order of sampling, of a number of the block; what is left over is not used.
func ofBlocks(rewards []float64, n int, number func([]float64) float64) float64 {
	n = max(1, min(n, len(rewards)))
	sum, blocks := 0.0, 0
	for lo := 0; lo+n <= len(rewards); lo += n {
		sum += number(rewards[lo : lo+n])
		blocks++
	}
	return sum / float64(blocks)
}

func median(values []float64) float64 { return eval.Quantile(values, 0.5) }

// figure7: the best of N answers grows with N, the median stays.
func figure7(ctx context.Context, b *bench, r *report) error {
	rewards, err := b.rewards(ctx, version{"SFT", startName}, 1)
	if err != nil {
		return err
	}
	rewards = slices.DeleteFunc(rewards, func(list []float64) bool { return len(list) == 0 })
	most := b.many.answers
	best, middle := curve{name: "best"}, curve{name: "median"}
	var pool []float64
	for _, list := range rewards {
		pool = append(pool, list...)
	}
	perPrompt := func(n int, number func([]float64) float64) []float64 {
		out := make([]float64, len(rewards))
		for i, list := range rewards {
			out[i] = ofBlocks(list, n, number)
		}
		return out
	}
	marks := []float64{}
	sizes := []int{}
	for n := 1; n <= most; n *= 2 {
		sizes = append(sizes, n)
		x := float64(n)
		marks = append(marks, x)
		best.x, best.y = append(best.x, x), append(best.y, eval.MeanOf(perPrompt(n, slices.Max[[]float64])))
		middle.x, middle.y = append(middle.x, x), append(middle.y, eval.MeanOf(perPrompt(n, median)))
		r.row(fmt.Sprintf("best of %d", n), "", best.y[len(best.y)-1], plain)
		r.row(fmt.Sprintf("median of %d", n), "", middle.y[len(middle.y)-1], plain)
	}
	parts := []verdict{}
	for i := 1; i < len(sizes); i++ {
		parts = append(parts, positive(eval.MeanOf(subtract(perPrompt(sizes[i], slices.Max[[]float64]), perPrompt(sizes[i-1], slices.Max[[]float64])))))
	}
	d := eval.MeanOf(subtract(perPrompt(most, slices.Max[[]float64]), perPrompt(1, slices.Max[[]float64])))
	r.direction(fmt.Sprintf("the best reward grows at every doubling of N (number: from 1 to %d)", most), d, plain, all(parts...))
	best2, middle2 := perPrompt(2, slices.Max[[]float64]), perPrompt(2, median)
	wider := eval.MeanOf(subtract(subtract(perPrompt(most, slices.Max[[]float64]), perPrompt(most, median)), subtract(best2, middle2)))
	r.claim(fmt.Sprintf("the gap between best and median is wider for %d than for 2", most), wider, plain, positive(wider))
	stays := eval.MeanOf(subtract(perPrompt(most, median), perPrompt(1, median)))
	tolerance := deviation(pool) / 5
	r.claim(fmt.Sprintf("the median of %d is the median of 1, within a fifth of the rewards' standard deviation", most), stays, plain, unchanged(stays, tolerance))
	r.note("a fifth of the standard deviation is %.2f; %d prompts, temperature 1, answers that ended by themselves", tolerance, len(rewards))
	return newPicture(r.Title, "N", "combined reward (logit)").curves(best, middle).logX(marks).save(r.picture())
}
