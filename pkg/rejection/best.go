package rejection

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
)

// Best picks the finished answer that is not empty with the highest reward for each prompt, prompts in the order in which they first
// occur. The candidates may come from several versions.
func Best(candidates []Candidate) []Candidate {
	index := map[string]int{}
	var winners []Candidate
	for _, c := range candidates {
		if !c.Finished || c.Empty() {
			continue
		}
		i, known := index[c.Prompt.ID]
		switch {
		case !known:
			index[c.Prompt.ID] = len(winners)
			winners = append(winners, c)
		case better(c, winners[i]):
			winners[i] = c
		}
	}
	return winners
}

func better(a, b Candidate) bool {
	switch {
	case a.Reward != b.Reward:
		return a.Reward > b.Reward
	case a.Version != b.Version:
		return a.Version > b.Version
	}
	return a.Index < b.Index
}

// Point is what sampling at one temperature gives: means over prompts (figures 7 and 8).
type Point struct {
	Temperature float64
	Max         float64 // reward of the best finished answer, over prompts that have one; 0 if none has
	Median      float64 // median reward of all answers
	Finished    float64 // share of answers that ended by themselves
	Winners     float64 // share of prompts with a best answer
}

// Tune samples at every temperature and returns the one with the highest mean reward of the best answer, which is what
// fine-tuning will see. A mean that is lower by less than one standard error of the difference, taken prompt by prompt, counts as equal, and of
// equal ones the first is returned: give the temperatures in ascending order, so that noise does not decide for more answers that a reward
// model may be wrong about. One at which no answer can be best is never chosen. The paper tunes it again for each version
// (figure 8).
func Tune(ctx context.Context, p *model.Params, prompts []data.TokenPrompt, reward data.RewardFunc, cfg Config, temperatures []float64) (float64, []Point, error) {
	if len(temperatures) == 0 {
		return 0, nil, errors.New("rejection: no temperatures to choose from")
	}
	var points []Point
	var maxima [][]float64
	for _, t := range temperatures {
		cfg.Temperature = t
		candidates, err := Sample(ctx, p, prompts, reward, cfg)
		if err != nil {
			return 0, nil, err
		}
		pt, best := measure(t, candidates, cfg.Samples)
		points, maxima = append(points, pt), append(maxima, best)
	}
	best := choose(points, maxima)
	if best < 0 {
		return 0, points, fmt.Errorf("rejection: no answer was finished without being empty at any of %d temperatures: raise MaxNewTokens (%d), or train the model to answer and to stop", len(points), cfg.MaxNewTokens)
	}
	return points[best].Temperature, points, nil
}

// choose is the index of the first point whose maxima are as good as the highest, -1 if no point has one.
func choose(points []Point, maxima [][]float64) int {
	best := -1
	for i, pt := range points {
		if pt.Winners > 0 && (best < 0 || pt.Max > points[best].Max) {
			best = i
		}
	}
	for i, pt := range points[:max(best, 0)] {
		if pt.Winners > 0 && asGood(maxima[i], maxima[best]) {
			return i
		}
	}
	return best
}

// asGood reports whether y is greater than x by at most one standard error, over the prompts that both have a number for.
func asGood(x, y []float64) bool {
	var sum, squares, n float64
	for i := range x {
		if d := y[i] - x[i]; d == d { // not NaN
			sum, squares, n = sum+d, squares+d*d, n+1
		}
	}
	if n < 2 {
		return n == 1 && sum <= 0
	}
	mean := sum / n
	variance := max(squares/n-mean*mean, 0) * n / (n - 1)
	return mean <= math.Sqrt(variance/n)
}

// measure averages over prompts, whose answers lie side by side. maxima are the rewards of the best finished answers, NaN where there is
// none.
func measure(temperature float64, candidates []Candidate, samples int) (pt Point, maxima []float64) {
	pt.Temperature = temperature
	prompts, winners := 0.0, 0.0
	for group := range slices.Chunk(candidates, samples) {
		prompts++
		rewards := make([]float64, len(group))
		for i, c := range group {
			rewards[i] = c.Reward
			if c.Finished {
				pt.Finished += 1 / float64(len(candidates))
			}
		}
		slices.Sort(rewards)
		mid := len(rewards) / 2
		pt.Median += (rewards[mid] + rewards[(len(rewards)-1)/2]) / 2
		maxima = append(maxima, math.NaN())
		if best := Best(group); len(best) == 1 {
			maxima[len(maxima)-1] = best[0].Reward
			pt.Max += best[0].Reward
			winners++
		}
	}
	pt.Median /= prompts
	pt.Max /= max(winners, 1)
	pt.Winners = winners / prompts
	return pt, maxima
}
