package ppo

import (
	"fmt"
	"math"

	"github.com/tame-rlhf/tame/internal/each"
)

// whitenEps is added to the variance, inside the root.
const whitenEps = 1e-8

// Logit is log(p / (1-p)), the inverse of the sigmoid.
func Logit(p float64) float64 { return math.Log(p / (1 - p)) }

// Combine is R_c of section 3.2.3 on raw scores: the safety score if the prompt is tagged as a safety prompt or the
// safety score is below the logit of the threshold (a probability, 0.15 in the paper), else the helpfulness score. It
// says whether the safety score was taken.
//
// Rewards R are sigmoids of raw scores, so logit(R_c) is the raw score itself. The sigmoid and its logit are left out:
// the sigmoid of a large score rounds to 1, and its logit would be infinite.
func Combine(s Score, safetyPrompt bool, threshold float64) (score float64, bySafety bool) {
	if safetyPrompt || s.Safety < Logit(threshold) {
		return s.Safety, true
	}
	return s.Helpfulness, false
}

// GateQuality is precision and recall of the gate as a detector of unsafe answers: raw safety scores below the logit of
// the threshold are taken for unsafe. Section 3.2.3 gives 0.89 and 0.55 for the paper's model on its test set. Precision
// is NaN if nothing is below, recall NaN if nothing is unsafe.
func GateQuality(safety []float64, unsafe []bool, threshold float64) (precision, recall float64, err error) {
	if len(safety) != len(unsafe) {
		return 0, 0, fmt.Errorf("ppo: %d safety scores for %d labels", len(safety), len(unsafe))
	}
	var caught, below, all float64
	for i, s := range safety {
		if unsafe[i] {
			all++
		}
		if s < Logit(threshold) {
			below++
			if unsafe[i] {
				caught++
			}
		}
	}
	return caught / below, caught / all, nil
}

// Whiten is x without its mean and scale: (x - mean) / sqrt(variance + 1e-8), with the population's variance.
func Whiten(x []float64) []float64 {
	return scaleOf(x).whiten(x)
}

// scale is where the unit of whitened scores lies among raw scores: the whitened x is the raw Mean + x Deviation.
type scale struct {
	Mean      float64 `json:"mean"`
	Deviation float64 `json:"deviation"`
}

// rawScale is the scale of scores that are not whitened.
var rawScale = scale{Mean: 0, Deviation: 1}

// scaleOf is the scale that whitening x removes.
func scaleOf(x []float64) scale {
	mean, variance := moments(x)
	return scale{Mean: mean, Deviation: math.Sqrt(variance + whitenEps)}
}

func (s scale) whiten(x []float64) []float64 {
	return each.Of(x, func(v float64) float64 { return (v - s.Mean) / s.Deviation })
}

// moments are mean and population variance, 0 of nothing.
func moments(x []float64) (mean, variance float64) {
	if len(x) == 0 {
		return 0, 0
	}
	n := float64(len(x))
	for _, v := range x {
		mean += v / n
	}
	for _, v := range x {
		variance += (v - mean) * (v - mean) / n
	}
	return mean, variance
}

// finalScores turns raw combined scores into those PPO uses: whitened over the iteration's answers (section 3.2.3), then
// with what is due for answers that never stopped. The latter comes second so that its unit is known.
func finalScores(raw []float64, finished []bool, cfg Config) []float64 {
	unit := rawScale
	if cfg.WhitenScores {
		unit = scaleOf(population(raw, finished, cfg))
	}
	return settle(unit.whiten(raw), finished, rawScale, cfg)
}

// population is the raw scores whose mean and deviation count: all, without the unfinished answers' if those get a fixed score.
func population(raw []float64, finished []bool, cfg Config) (counted []float64) {
	for i, r := range raw {
		if finished[i] || cfg.Unfinished != UnfinishedFixed {
			counted = append(counted, r)
		}
	}
	return counted
}

// settle gives unfinished answers what Config.Unfinished says, in place. unit is the scale of UnfinishedValue among the scores.
func settle(scores []float64, finished []bool, unit scale, cfg Config) []float64 {
	for i := range scores {
		switch {
		case finished[i]:
		case cfg.Unfinished == UnfinishedPenalty:
			scores[i] -= cfg.UnfinishedValue * unit.Deviation
		case cfg.Unfinished == UnfinishedFixed:
			scores[i] = unit.Mean + cfg.UnfinishedValue*unit.Deviation
		}
	}
	return scores
}

// TokenRewards is the reward of each token of one answer: -klCoef (log π - log π_0), and the score once, at the last
// counted token. Summed over the tokens it is R = R~_c - beta KL of section 3.2.3, with the k1 estimate of the KL.
//
// logProbs and refLogProbs (T), counted (T) or nil for all; tokens not counted get 0.
func TokenRewards(score float64, logProbs, refLogProbs []float64, counted []bool, klCoef float64) []float64 {
	rewards := make([]float64, len(logProbs))
	last := -1
	for t := range logProbs {
		if counted != nil && !counted[t] {
			continue
		}
		rewards[t] = -klCoef * (logProbs[t] - refLogProbs[t])
		last = t
	}
	if last >= 0 {
		rewards[last] += score
	}
	return rewards
}
