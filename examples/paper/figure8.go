package main

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/tame-rlhf/tame/pkg/data"
)

// temperatures go so far that the best one is not the last.
var temperatures = []float64{0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.2, 2.4}

// figure8: the temperature at which the best of N answers has the highest reward is higher after
// RLHF than after SFT. The paper's range of N is 10 to 100.
func figure8(ctx context.Context, b *bench, r *report) error {
	policies := b.policies()
	pair := [2]version{policies[0], policies[len(policies)-1]}
	var rewards [2][][][]float64 // model, temperature, prompt, answer
	questions := numbers(b.World.ValidationPrompts()[:min(b.many.asked, len(b.World.ValidationPrompts()))], func(p data.Prompt) string { return b.asked[p.ID] })
	for i, v := range pair {
		for _, t := range temperatures {
			list, err := b.draws(ctx, v, t)
			if err != nil {
				return err
			}
			rewards[i] = append(rewards[i], rewardsOf(list))
		}
	}
	names := [2]string{pair[0].name, pair[1].name}
	sizes := judgedSizes(b.many.answers)
	paper := [2]string{"about 0.8", "1.2 to 1.3"}
	pic := newPicture(r.Title, "temperature", "best reward of N answers (logit)")
	for _, n := range sizes {
		best, of := bestRewards(rewards, questions, b.many.answers, n)
		for i := range pair {
			c := curve{name: fmt.Sprintf("%s, N = %d", names[i], n), x: temperatures}
			for _, perPrompt := range best[i] {
				c.y = append(c.y, clustered(perPrompt, of))
			}
			pic.curves(c)
			r.row(fmt.Sprintf("best temperature of %s, N = %d", names[i], n), paper[i], bootstrap(of, func(pick []int) float64 {
				return argmax(best[i], pick)
			}), plain)
		}
	}
	r.found(judgeFigure8(names, rewards, questions, b.many.answers, sizes))
	r.note("temperatures tried: %v, on %d prompts; the intervals are bootstrapped over their questions", temperatures, len(rewards[0][0]))
	r.note("a best temperature at an end of that range decides nothing, since a wider range could move it")
	return pic.save(r.picture())
}

// judgedSizes are the numbers of answers N, among those within the paper's range of 10 to 100.
func judgedSizes(most int) []int { return []int{most / 4, most / 2, most} }

// bestRewards are the mean rewards of the best of n answers: (model, temperature, prompt). A sample
// of n without an answer that ended by itself counts as the lowest reward that any answer to the
// prompt has: without that, temperatures at which next to nothing ends would be judged by easy
// prompts alone. sampled is the number of answers that were sampled for each prompt. Prompts to
// which nothing ended at any temperature are left out; of are the questions of the others.
func bestRewards(rewards [2][][][]float64, questions []string, sampled, n int) (best [2][][]float64, of []string) {
	var prompts []int
	lowest := map[int]float64{}
	for k := range rewards[0][0] {
		all := []float64{}
		for _, byTemperature := range rewards {
			for _, list := range byTemperature {
				all = append(all, list[k]...)
			}
		}
		if len(all) > 0 {
			prompts, lowest[k] = append(prompts, k), slices.Min(all)
			of = append(of, questions[k])
		}
	}
	for i := range rewards {
		for _, list := range rewards[i] {
			row := make([]float64, len(prompts))
			for j, k := range prompts {
				row[j] = bestOf(list[k], sampled, n, lowest[k])
			}
			best[i] = append(best[i], row)
		}
	}
	return best, of
}

// bestOf is the expected best reward of n answers drawn from the sampled ones without replacement,
// of which the unfinished count as the lowest. The finished ones are ranked:
//
//	E = Σ_k x_(k) (C(k, n) - C(k-1, n)) / C(sampled, n),   x_(1) ≤ x_(2) ≤ ... ≤ x_(sampled).
func bestOf(finished []float64, sampled, n int, lowest float64) float64 {
	sorted := slices.Concat(slices.Repeat([]float64{lowest}, sampled-len(finished)), finished)
	slices.Sort(sorted)
	sum, rest := 0.0, 1.0 // rest: the chance that none of the answers above the k-th is among the n
	for k := sampled; k >= n; k-- {
		chance := rest * float64(n) / float64(k)
		sum += chance * sorted[k-1]
		rest -= chance
	}
	return sum
}

// judgeFigure8 takes the rewards of two models, (model, temperature, prompt, answer), and what each
// prompt asks, and wants the best temperature of the second to be higher for every N.
func judgeFigure8(names [2]string, rewards [2][][][]float64, questions []string, sampled int, sizes []int) (f findings) {
	for _, n := range sizes {
		best, of := bestRewards(rewards, questions, sampled, n)
		shift := func(pick []int) float64 { return argmax(best[1], pick) - argmax(best[0], pick) }
		everyone := make([]int, len(best[0][0]))
		for i := range everyone {
			everyone[i] = i
		}
		d := bootstrap(of, shift)
		v := positive(d)
		for i := range best {
			if t := argmax(best[i], everyone); t == temperatures[0] || t == temperatures[len(temperatures)-1] {
				v = undecided
			}
		}
		f.lead(fmt.Sprintf("with N = %d the best temperature of %s is above that of %s", n, names[1], names[0]), d, plain, v)
	}
	return f
}

// argmax is the temperature with the highest mean over the picked prompts; the lower one of two
// that are equal.
func argmax(best [][]float64, pick []int) float64 {
	where, highest := 0, math.Inf(-1)
	for t, perPrompt := range best {
		sum := 0.0
		for _, i := range pick {
			sum += perPrompt[i]
		}
		if sum > highest {
			where, highest = t, sum
		}
	}
	return temperatures[where]
}
