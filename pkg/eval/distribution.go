package eval

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// quantileLevels are the levels of Distribution.Quantiles.
var quantileLevels = [7]float64{0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99}

// Distribution is how the rewards of one version spread.
type Distribution struct {
	Mean      Mean
	Quantiles [7]float64 // at 1, 5, 25, 50, 75, 95 and 99 %
	Counts    []int      // histogram over Distributions.Edges
	LowTail   Mean       // share of rewards below Distributions.Threshold, with the Wilson interval
}

// Distributions are those of several versions over the same bins.
type Distributions struct {
	Edges     []float64 // of the bins, one more than bins; the last bin holds its upper edge
	Threshold float64   // rewards below it are the low tail
	Versions  []Distribution
}

// Distribute shows how rewards move from version to version (Touvron et al. 2023, figures 20 and 14): RLHF moves the whole distribution, and
// takes away its low tail first. The bins, all of one width, span the rewards of all versions. A threshold that fits any
// scale is a quantile of the first version: Quantile(versions[0], 0.05).
func Distribute(versions [][]float64, bins int, threshold float64) (Distributions, error) {
	if bins < 1 || math.IsNaN(threshold) {
		return Distributions{}, fmt.Errorf("eval: distribution: %d bins and a threshold of %v, want at least 1 and a number", bins, threshold)
	}
	lo, hi := math.Inf(1), math.Inf(-1)
	for i, rewards := range versions {
		if len(rewards) == 0 {
			return Distributions{}, fmt.Errorf("eval: distribution: version %d has no rewards", i)
		}
		for k, r := range rewards {
			if math.IsNaN(r) || math.IsInf(r, 0) {
				return Distributions{}, fmt.Errorf("eval: distribution: reward %d of version %d is %v", k, i, r)
			}
			lo, hi = min(lo, r), max(hi, r)
		}
	}
	if len(versions) == 0 {
		return Distributions{}, errors.New("eval: distribution: no versions")
	}
	if lo == hi {
		hi = lo + 1 // a bin needs a width
	}
	d := Distributions{Threshold: threshold, Edges: make([]float64, bins+1)}
	for b := range d.Edges {
		d.Edges[b] = lo + (hi-lo)*float64(b)/float64(bins)
	}
	d.Edges[bins] = hi
	for _, rewards := range versions {
		d.Versions = append(d.Versions, d.version(rewards))
	}
	return d, nil
}

func (d Distributions) version(rewards []float64) Distribution {
	v := Distribution{Mean: MeanOf(rewards), Counts: make([]int, len(d.Edges)-1)}
	low := make([]bool, len(rewards))
	for i, r := range rewards {
		low[i] = r < d.Threshold
		b, at := slices.BinarySearch(d.Edges, r) // the first edge that is not below r
		if !at || b == len(d.Edges)-1 {
			b--
		}
		v.Counts[b]++
	}
	v.LowTail = ShareOf(low)
	sorted := slices.Sorted(slices.Values(rewards))
	for i, q := range quantileLevels {
		v.Quantiles[i] = quantile(sorted, q)
	}
	return v
}

// Quantile is the value below which the share q of the values lies, linear between neighbours (type 7 of Hyndman and Fan 1996, as in NumPy and R). It is
// NaN for no values or a q outside [0, 1].
func Quantile(values []float64, q float64) float64 {
	return quantile(slices.Sorted(slices.Values(values)), q)
}

func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 || !(q >= 0 && q <= 1) {
		return math.NaN()
	}
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i == len(sorted)-1 {
		return sorted[i]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}
