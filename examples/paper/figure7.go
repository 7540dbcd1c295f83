package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/tame-rlhf/tame/pkg/eval"
)

// figure7: the best of N answers grows with N, the median stays.
func figure7(ctx context.Context, b *bench, r *report) error {
	list, err := b.draws(ctx, version{"SFT", startName}, 1)
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(answers []drawn) bool { return len(answers) == 0 })
	best, middle := curve{name: "best"}, curve{name: "median"}
	rewards, questions := rewardsOf(list), numbers(list, func(answers []drawn) string { return b.asked[answers[0].PromptID] })
	for _, n := range doublings(b.many.answers) {
		x := float64(n)
		best.x, best.y = append(best.x, x), append(best.y, clustered(perPrompt(rewards, n, slices.Max[[]float64]), questions))
		middle.x, middle.y = append(middle.x, x), append(middle.y, clustered(perPrompt(rewards, n, median), questions))
		r.row(fmt.Sprintf("best of %d", n), "", best.y[len(best.y)-1], plain)
		r.row(fmt.Sprintf("median of %d", n), "", middle.y[len(middle.y)-1], plain)
	}
	r.found(judgeFigure7(list, questions, b.many.answers))
	r.note("%d prompts, temperature 1, answers that ended by themselves", len(list))
	return newPicture(r.Title, "N", "combined reward (logit)").curves(best, middle).logX(best.x).save(r.picture())
}

// doublings are 1, 2, 4 ... most.
func doublings(most int) (list []int) {
	for n := 1; n <= most; n *= 2 {
		list = append(list, n)
	}
	return list
}

// perPrompt is a number of blocks of n answers, for each prompt.
func perPrompt[T any](list [][]T, n int, number func([]T) float64) []float64 {
	return numbers(list, func(answers []T) float64 { return ofBlocks(answers, n, number) })
}

// judgeFigure7 takes the answers to each prompt, and what each prompt asks. That the best reward grows with N is an identity,
// which noise has too. What can fail is that the median stays, and that the answer with the best
// reward is better by a judge that did not choose it.
func judgeFigure7(list [][]drawn, questions []string, most int) (f findings) {
	rewards := rewardsOf(list)
	best := func(n int) []float64 { return perPrompt(rewards, n, slices.Max[[]float64]) }
	middle := func(n int) []float64 { return perPrompt(rewards, n, median) }
	parts, sizes := []verdict{}, doublings(most)
	for i := 1; i < len(sizes); i++ {
		parts = append(parts, positive(gain(best(sizes[i]), best(sizes[i-1]), questions)))
	}
	d := gain(best(most), best(1), questions)
	f.lead(fmt.Sprintf("the best reward grows at every doubling of N (number: from 1 to %d)", most), d, plain, all(parts...))
	d = gain(middle(most), middle(1), questions)
	f.lead(fmt.Sprintf("the median of %d is the median of 1, within a fifth of the rewards' standard deviation", most), d, plain, unchanged(d, deviation(slices.Concat(rewards...))/5))
	f.leadAbove(fmt.Sprintf("the best of %d by the reward is above the average answer by the general model, which did not choose it", most), clustered(ahead(list, most, generalOf), questions), plain)
	f.above("so it is by the oracle's helpfulness, on harmless prompts", clustered(numbered(ahead(list, most, oracleHelpOf), questions)), plain)
	f.above(fmt.Sprintf("the gap between best and median is wider for %d than for 2", most), gain(subtract(best(most), middle(most)), subtract(best(2), middle(2)), questions), plain)
	return f
}

// ahead is by how much the answer with the best reward of n is above the average of the n, by
// another judge.
func ahead(list [][]drawn, n int, judge func(drawn) float64) []float64 {
	return perPrompt(list, n, func(block []drawn) float64 {
		chosen := slices.MaxFunc(block, func(a, b drawn) int { return cmp.Compare(a.Reward, b.Reward) })
		return judge(chosen) - eval.MeanOf(numbers(block, judge)).Mean
	})
}

// numbered are the values that are numbers, with their groups.
func numbered(values []float64, groups []string) (some []float64, of []string) {
	for i, v := range values {
		if !math.IsNaN(v) {
			some, of = append(some, v), append(of, groups[i])
		}
	}
	return some, of
}
