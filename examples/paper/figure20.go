package main

import (
	"context"
	"math/rand/v2"

	"github.com/tame-rlhf/tame/pkg/eval"
)

// figure20: RLHF moves the distribution of rewards up and thins its low tail.
func figure20(ctx context.Context, b *bench, r *report) error {
	policies := b.policies()
	rewards := make([][]float64, len(policies))
	var questions []string
	for i, v := range policies {
		list, err := b.answers(ctx, v, 1, 1)
		if err != nil {
			return err
		}
		rewards[i], questions = numbers(list, combinedOf), numbers(list, b.question)
	}
	d, err := eval.Distribute(rewards, 24, eval.Quantile(rewards[0], lowest))
	if err != nil {
		return err
	}
	pic := newPicture(r.Title, "combined reward (logit)", "share of answers")
	for i, v := range policies {
		r.row(v.name+", mean reward", "", d.Versions[i].Mean, plain)
		r.row(v.name+", below the tenth percentile of SFT", "", d.Versions[i].LowTail, percent)
		pic.steps(v.name, d.Edges, d.Versions[i].Counts)
	}
	r.found(judgeFigure20(rewards, questions))
	r.note("the paper's figure shows RLHF V1 to V5 beside SFT and gives no numbers; rewards are those of the last version's reward models")
	return pic.save(r.picture())
}

// lowest is the share of SFT's answers that figure 20 calls the low tail.
const lowest = 0.1

// judgeFigure20 takes the rewards of the answers to the same prompts, from SFT to the last version,
// and the questions of those prompts.
func judgeFigure20(rewards [][]float64, questions []string) (f findings) {
	first, last := rewards[0], rewards[len(rewards)-1]
	f.leadAbove("the mean reward of the last version is above that of SFT", gain(last, first, questions), plain)
	threshold := eval.Quantile(first, lowest)
	tail := gain(below(last, threshold), below(first, threshold), questions)
	f.lead("fewer answers of the last version are in the low tail, a tenth of SFT's answers", tail, percent, negative(tail))
	f.above("from SFT to V1 the tenth percentile gains more than the ninetieth", quantileGains(first, rewards[1], questions), plain)
	return f
}

func subtract(a, b []float64) []float64 {
	d := make([]float64, len(a))
	for i := range d {
		d[i] = a[i] - b[i]
	}
	return d
}

// below is 1 where a value is below the threshold.
func below(values []float64, threshold float64) []float64 {
	return numbers(values, func(v float64) float64 { return share(v < threshold) })
}

// quantileGains is by how much more the 10 % quantile rises than the 90 % quantile.
func quantileGains(before, after []float64, questions []string) eval.Mean {
	return bootstrap(questions, func(pick []int) float64 {
		x, y := at(before, pick), at(after, pick)
		return eval.Quantile(y, 0.1) - eval.Quantile(x, 0.1) - (eval.Quantile(y, 0.9) - eval.Quantile(x, 0.9))
	})
}

func at(values []float64, pick []int) []float64 {
	return numbers(pick, func(k int) float64 { return values[k] })
}

// bootstrap is a number of some values, with the percentile interval of 1000 draws (Efron 1979). What
// is drawn with replacement are the groups that the values belong to, as many as there are.
func bootstrap(groups []string, number func(pick []int) float64) eval.Mean {
	rng := rand.New(rand.NewPCG(1, 1))
	members := map[string][]int{}
	order := []string{}
	everyone := make([]int, len(groups))
	for i, g := range groups {
		if members[g] == nil {
			order = append(order, g)
		}
		members[g], everyone[i] = append(members[g], i), i
	}
	draws := make([]float64, 1000)
	for k := range draws {
		var pick []int
		for range order {
			pick = append(pick, members[order[rng.IntN(len(order))]]...)
		}
		draws[k] = number(pick)
	}
	return eval.Mean{Mean: number(everyone), Lo: eval.Quantile(draws, 0.025), Hi: eval.Quantile(draws, 0.975), N: len(groups)}
}
