package eval

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Binning says how predictions are put into bins.
type Binning int

// The ways.
const (
	EqualWidth Binning = iota // each bin spans the same part of the range of probabilities
	EqualCount                // each bin holds as many predictions, equal predictions together
)

// CalibrationBin is a group of similar predictions.
type CalibrationBin struct {
	Lo, Hi    float64 // of equal width: its edges, the lower one included; of equal count: the least and the greatest prediction
	Predicted float64 // mean prediction
	Observed  Mean    // what came true, with the Wilson interval
}

// Calibration compares predicted probabilities with what came true.
type Calibration struct {
	Bins []CalibrationBin // those that are not empty, ascending
	// ECE is the expected calibration error, Σ_b n_b/n |observed_b - predicted_b| (Naeini et al. 2015). Noise alone keeps it
	// above 0, the more the smaller the bins.
	ECE float64
	// MaxError is the greatest |observed_b - predicted_b|.
	MaxError float64
	// Brier is the mean squared error (Brier 1950), (1 - p)² where it came true and p² where it did not. Guessing 0.5 has 0.25.
	Brier float64
}

// Calibrate compares each probability with its outcome: 1 came true, 0 did not, 0.5 did in half of the cases. There are so many bins over [0, 1].
func Calibrate(probabilities, outcomes []float64, bins int, binning Binning) (Calibration, error) {
	return calibrate(probabilities, outcomes, bins, binning, 0)
}

// CalibratePreferences tells whether a reward model's differences r_chosen - r_rejected are the log-odds of people's choices, as its loss
// supposes: P(chosen) = σ(r_chosen - r_rejected). The prediction of a pair is the probability σ(|difference|) with which the
// model picks the answer of the higher score, and the outcome whether people chose it, so bins are over [0.5, 1] and Observed is the accuracy at
// that confidence. A difference of 0 came true in half of the cases.
func CalibratePreferences(differences []float64, bins int, binning Binning) (Calibration, error) {
	probabilities, outcomes := make([]float64, len(differences)), make([]float64, len(differences))
	for i, d := range differences {
		probabilities[i] = 1 / (1 + math.Exp(-math.Abs(d)))
		switch {
		case d > 0:
			outcomes[i] = 1
		case d == 0:
			outcomes[i] = 0.5
		}
	}
	return calibrate(probabilities, outcomes, bins, binning, 0.5)
}

// prediction is a probability and its outcome.
type prediction struct{ p, outcome float64 }

func calibrate(probabilities, outcomes []float64, bins int, binning Binning, least float64) (Calibration, error) {
	switch {
	case len(probabilities) != len(outcomes):
		return Calibration{}, fmt.Errorf("eval: calibration: %d probabilities for %d outcomes, want one for each", len(probabilities), len(outcomes))
	case len(probabilities) == 0:
		return Calibration{}, errors.New("eval: calibration: no predictions")
	case bins < 1:
		return Calibration{}, fmt.Errorf("eval: calibration: %d bins, want at least 1", bins)
	case binning != EqualWidth && binning != EqualCount:
		return Calibration{}, fmt.Errorf("eval: calibration: binning %d, want EqualWidth or EqualCount", binning)
	}
	list := make([]prediction, len(probabilities))
	for i, p := range probabilities {
		if !(p >= least && p <= 1 && outcomes[i] >= 0 && outcomes[i] <= 1) {
			return Calibration{}, fmt.Errorf("eval: calibration: prediction %d is %v with outcome %v, want numbers in [%v, 1] and [0, 1]", i, p, outcomes[i], least)
		}
		list[i] = prediction{p, outcomes[i]}
	}
	slices.SortStableFunc(list, func(a, b prediction) int { return cmp.Compare(a.p, b.p) })

	var c Calibration
	for _, x := range list {
		c.Brier += (x.outcome*(1-x.p)*(1-x.p) + (1-x.outcome)*x.p*x.p) / float64(len(list))
	}
	for start, b := 0, 0; start < len(list); b++ {
		var bin CalibrationBin
		end := start
		switch binning {
		case EqualWidth:
			width := (1 - least) / float64(bins)
			bin.Lo, bin.Hi = least+float64(b)*width, least+float64(b+1)*width
			for end < len(list) && (list[end].p < bin.Hi || b == bins-1) {
				end++
			}
		case EqualCount:
			end = max(start, (b+1)*len(list)/bins)
			for start < end && end < len(list) && list[end].p == list[end-1].p {
				end++
			}
			if start < end {
				bin.Lo, bin.Hi = list[start].p, list[end-1].p
			}
		}
		if start < end {
			c.add(bin, list[start:end], len(list))
		}
		start = end
	}
	return c, nil
}

// add fills a bin, one of n predictions in all.
func (c *Calibration) add(bin CalibrationBin, list []prediction, n int) {
	hits := 0.0
	for _, x := range list {
		bin.Predicted += x.p / float64(len(list))
		hits += x.outcome
	}
	bin.Observed = shareOf(hits, len(list))
	gap := math.Abs(bin.Observed.Mean - bin.Predicted)
	c.Bins = append(c.Bins, bin)
	c.ECE += float64(len(list)) / float64(n) * gap
	c.MaxError = max(c.MaxError, gap)
}

// RatingLevel is the mean reward of the answers that people gave one rating.
type RatingLevel struct {
	Rating float64
	Reward Mean
}

// RewardByRating compares rewards with what people think of the same answers, as figure 29 of the paper does: levels has the mean reward for
// each rating, ascending, where a rating may be the mean or the median of several people's. rank is Spearman's correlation of
// reward and rating, 1 if more reward never means less rating; NaN if all are equal.
func RewardByRating(rewards, ratings []float64) (levels []RatingLevel, rank float64, err error) {
	if len(rewards) != len(ratings) || len(rewards) == 0 {
		return nil, 0, fmt.Errorf("eval: %d rewards for %d ratings, want one for each, and some", len(rewards), len(ratings))
	}
	byRating := map[float64][]float64{}
	for i, r := range ratings {
		if math.IsNaN(r) || math.IsNaN(rewards[i]) {
			return nil, 0, fmt.Errorf("eval: reward %d is %v and its rating %v, want numbers", i, rewards[i], r)
		}
		byRating[r] = append(byRating[r], rewards[i])
	}
	for r, values := range byRating {
		levels = append(levels, RatingLevel{Rating: r, Reward: MeanOf(values)})
	}
	slices.SortFunc(levels, func(a, b RatingLevel) int { return cmp.Compare(a.Rating, b.Rating) })
	return levels, correlation(ranks(rewards), ranks(ratings)), nil
}

// ranks gives each value its place in ascending order, equal values the mean of their places.
func ranks(values []float64) []float64 {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(values[a], values[b]) })
	places := make([]float64, len(values))
	for start := 0; start < len(order); {
		end := start + 1
		for end < len(order) && values[order[end]] == values[order[start]] {
			end++
		}
		for _, i := range order[start:end] {
			places[i] = float64(start+end-1) / 2
		}
		start = end
	}
	return places
}

// correlation is Pearson's.
func correlation(x, y []float64) float64 {
	mx, my := MeanOf(x).Mean, MeanOf(y).Mean
	var xx, xy, yy float64
	for i := range x {
		xx += (x[i] - mx) * (x[i] - mx)
		xy += (x[i] - mx) * (y[i] - my)
		yy += (y[i] - my) * (y[i] - my)
	}
	return xy / math.Sqrt(xx*yy)
}
