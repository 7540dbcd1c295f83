package main

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/tame-rlhf/tame/pkg/eval"
)

var temperatures = []float64{0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6}

// figure8: the temperature at which the best of N answers has the highest reward is higher after RLHF than after SFT.
func figure8(ctx context.Context, b *bench, r *report) error {
	policies, err := b.Policies(ctx)
	if err != nil {
		return err
	}
	pair := []version{policies[0], policies[len(policies)-1]}
	byTemperature := make([][][][]float64, len(pair)) // model, temperature, prompt, answer
	for i, v := range pair {
		for _, t := range temperatures {
			rewards, err := b.rewards(ctx, v, t)
			if err != nil {
				return err
			}
			byTemperature[i] = append(byTemperature[i], rewards)
		}
	}
	most := b.many.answers
	paper := map[int][2]string{16: {"about 0.8", "1.2 to 1.3"}, most: {"about 0.8", "1.2 to 1.3"}}
	pic := newPicture(r.Title, "temperature", "best reward of N answers (logit)")
	var shifts []func(pick []int) float64
	for n := 1; n <= most; n *= 4 {
		var best [2][][]float64 // temperature, prompt
		for i := range pair {
			c := curve{name: fmt.Sprintf("%s, N = %d", pair[i].name, n), x: temperatures}
			for _, rewards := range byTemperature[i] {
				perPrompt := make([]float64, len(rewards))
				for k, list := range rewards {
					perPrompt[k] = math.NaN()
					if len(list) > 0 {
						perPrompt[k] = ofBlocks(list, n, slices.Max[[]float64])
					}
				}
				best[i] = append(best[i], perPrompt)
				c.y = append(c.y, eval.MeanOf(slices.DeleteFunc(slices.Clone(perPrompt), math.IsNaN)))
			}
			if n > 1 { // of one answer nothing is the best
				pic.curves(c)
			}
			r.row(fmt.Sprintf("best temperature of %s, N = %d", pair[i].name, n), paper[n][i], bootstrap(len(best[i][0]), func(pick []int) float64 {
				return argmax(best[i], pick)
			}), plain)
		}
		if n == 1 {
			continue
		}
		shift := func(pick []int) float64 { return argmax(best[1], pick) - argmax(best[0], pick) }
		shifts = append(shifts, shift)
		d := bootstrap(len(best[0][0]), shift)
		r.claim(fmt.Sprintf("with N = %d the best temperature of %s is above that of %s", n, pair[1].name, pair[0].name), d, plain, positive(d))
	}
	d := bootstrap(len(byTemperature[0][0]), func(pick []int) float64 {
		sum := 0.0
		for _, shift := range shifts {
			sum += shift(pick)
		}
		return sum / float64(len(shifts))
	})
	r.direction(fmt.Sprintf("the best temperature of %s is above that of %s (number: mean over N)", pair[1].name, pair[0].name), d, plain, positive(d))
	r.note("temperatures tried: %v, on %d prompts; the intervals are bootstrapped over prompts", temperatures, len(byTemperature[0][0]))
	return pic.save(r.picture())
}

// argmax is the temperature with the highest mean over the picked prompts; the lower one of two that are equal.
func argmax(best [][]float64, pick []int) float64 {
	where, highest := 0, math.Inf(-1)
	for t, perPrompt := range best {
		sum, n := 0.0, 0.0
		for _, i := range pick {
			if !math.IsNaN(perPrompt[i]) {
				sum, n = sum+perPrompt[i], n+1
			}
		}
		if mean := sum / n; mean > highest {
			where, highest = t, mean
		}
	}
	return temperatures[where]
}
