package corpus

import (
	"fmt"
	"math"
)

// Subset is one of the four, overlapping parts of an evaluation set in the paper's table 51.
type Subset struct {
	Name    string  // clean, not clean, not dirty or dirty
	Samples int     // n
	Share   float64 // the mean share of contaminated tokens of these samples; NaN without any

	// Mean is the mean score of these samples, X in the paper; NaN without scores or samples.
	Mean float64
	// Expected is the mean score of all samples, which a random part has on average, mu_n.
	Expected float64
	// Z is how many standard deviations of the mean of n random samples the part is better than that.
	Z float64
}

// Subsets cuts an evaluation set by the samples' shares of contaminated tokens. scores, if there are any, are the model's
// results sample by sample (1 and 0 for right and wrong, or any other numbers).
func Subsets(cfg ContaminationConfig, shares, scores []float64) ([]Subset, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if scores != nil && len(scores) != len(shares) {
		return nil, fmt.Errorf("corpus: subsets: %d scores for %d samples", len(scores), len(shares))
	}
	expected, squares := math.NaN(), 0.0
	if scores != nil {
		expected = mean(scores, nil)
		for _, x := range scores {
			squares += (x - expected) * (x - expected)
		}
	}
	deviation := math.Sqrt(squares / float64(len(scores)))
	part := func(name string, in func(share float64) bool) Subset {
		var picked []bool
		s := Subset{Name: name, Expected: expected, Mean: math.NaN()}
		for _, share := range shares {
			picked = append(picked, in(share))
			if in(share) {
				s.Samples++
			}
		}
		s.Share = mean(shares, picked)
		if scores != nil {
			s.Mean = mean(scores, picked)
		}
		s.Z = (s.Mean - expected) / (deviation / math.Sqrt(float64(s.Samples)))
		return s
	}
	return []Subset{
		part("clean", func(share float64) bool { return share < cfg.Clean }),
		part("not clean", func(share float64) bool { return share >= cfg.Clean }),
		part("not dirty", func(share float64) bool { return share < cfg.Dirty }),
		part("dirty", func(share float64) bool { return share >= cfg.Dirty }),
	}, nil
}

// Affected is the paper's test of whether contamination changed a result: all four parts are more than two standard
// deviations away from what is expected.
func Affected(subsets []Subset) bool {
	for _, s := range subsets {
		if !(math.Abs(s.Z) > 2) {
			return false
		}
	}
	return len(subsets) > 0
}

// mean of the picked numbers, of all for nil; NaN without any.
func mean(x []float64, picked []bool) float64 {
	sum, n := 0.0, 0
	for i := range x {
		if picked == nil || picked[i] {
			sum += x[i]
			n++
		}
	}
	return sum / float64(n)
}
