package rejection

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tame-rlhf/tame/pkg/model"
)

// Best picks the finished answer with the highest reward for each prompt, prompts in the order in which they first
// occur. The answers may come from several versions.
func Best(answers []Answer) []Answer {
	index := map[string]int{}
	var winners []Answer
	for _, a := range answers {
		if !a.Finished {
			continue
		}
		i, known := index[a.ID]
		switch {
		case !known:
			index[a.ID] = len(winners)
			winners = append(winners, a)
		case better(a, winners[i]):
			winners[i] = a
		}
	}
	return winners
}

func better(a, b Answer) bool {
	switch {
	case a.Reward != b.Reward:
		return a.Reward > b.Reward
	case a.Version != b.Version:
		return a.Version > b.Version
	}
	return a.Sample < b.Sample
}

// Point is what sampling at one temperature gives: means over prompts (figures 7 and 8).
type Point struct {
	Temperature float64
	Max         float64 // reward of the best finished answer, over prompts that have one; 0 if none has
	Median      float64 // median reward of all answers
	Finished    float64 // share of answers that ended by themselves
	Winners     float64 // share of prompts with a finished answer
}

// Tune samples at every temperature and returns the one with the highest mean reward of the best answer, which is what
// fine-tuning will see; on equal rewards the first. One at which no answer is finished is never chosen. The paper tunes
// it anew for each version (figure 8).
func Tune(ctx context.Context, p *model.Params, prompts []Prompt, reward Reward, cfg Config, temperatures []float64) (float64, []Point, error) {
	if len(temperatures) == 0 {
		return 0, nil, errors.New("rejection: no temperatures to choose from")
	}
	var points []Point
	for _, t := range temperatures {
		cfg.Temperature = t
		answers, err := Sample(ctx, p, prompts, reward, cfg)
		if err != nil {
			return 0, nil, err
		}
		points = append(points, measure(t, answers, cfg.Samples))
	}
	best := choose(points)
	if best < 0 {
		return 0, points, fmt.Errorf("rejection: no answer was finished at any of %d temperatures: raise MaxNewTokens (%d), or train the model to stop", len(points), cfg.MaxNewTokens)
	}
	return points[best].Temperature, points, nil
}

// choose is the index of the highest maximum, -1 if no point has one.
func choose(points []Point) int {
	best := -1
	for i, pt := range points {
		if pt.Winners > 0 && (best < 0 || pt.Max > points[best].Max) {
			best = i
		}
	}
	return best
}

// measure averages over prompts, whose answers lie side by side.
func measure(temperature float64, answers []Answer, samples int) Point {
	pt := Point{Temperature: temperature}
	prompts, winners := 0.0, 0.0
	for group := range slices.Chunk(answers, samples) {
		prompts++
		rewards := make([]float64, len(group))
		for i, a := range group {
			rewards[i] = a.Reward
			if a.Finished {
				pt.Finished += 1 / float64(len(answers))
			}
		}
		slices.Sort(rewards)
		mid := len(rewards) / 2
		pt.Median += (rewards[mid] + rewards[(len(rewards)-1)/2]) / 2
		if best := Best(group); len(best) == 1 {
			pt.Max += best[0].Reward
			winners++
		}
	}
	pt.Median /= prompts
	pt.Max /= max(winners, 1)
	pt.Winners = winners / prompts
	return pt
}
