package main

import (
	"math"

	"github.com/tame-rlhf/tame/pkg/eval"
)

// verdict says whether what was measured goes the way that the paper's numbers go.
//
// A claim is about one number, most often a difference, and its 95 % interval:
//
//	             it is above 0 (positive)         it stays (unchanged)
//	agrees       the interval is above 0          the interval is within ± tolerance
//	disagrees    the interval is below 0          the interval is wholly outside
//	not decided  the interval holds 0             it holds a bound
//
// Differences are taken prompt by prompt where both numbers are about the same prompts. A claim of many parts agrees if all of them agree, and
// disagrees if one does. The intervals know the test prompts' randomness and not that of training: look at several seeds. Of twenty
// true claims one may be undecided or wrong by chance.
type verdict string

const (
	agrees    verdict = "agrees"
	disagrees verdict = "disagrees"
	undecided verdict = "not decided"
)

// positive is the claim that a number is above 0.
func positive(d eval.Mean) verdict {
	switch {
	case d.Lo > 0:
		return agrees
	case d.Hi < 0:
		return disagrees
	}
	return undecided
}

// negative is the claim that a number is below 0.
func negative(d eval.Mean) verdict { return positive(minus(d)) }

// unchanged is the claim that a difference is no larger than a tolerance, either way.
func unchanged(d eval.Mean, tolerance float64) verdict {
	switch {
	case -tolerance < d.Lo && d.Hi < tolerance:
		return agrees
	case d.Lo > tolerance || d.Hi < -tolerance:
		return disagrees
	}
	return undecided
}

// notBelow is the claim that a number has not fallen by more than a tolerance.
func notBelow(d eval.Mean, tolerance float64) verdict {
	switch {
	case d.Lo > -tolerance:
		return agrees
	case d.Hi < -tolerance:
		return disagrees
	}
	return undecided
}

// all is the claim that all parts hold.
func all(parts ...verdict) verdict {
	out := agrees
	for _, v := range parts {
		switch {
		case v == disagrees:
			return disagrees
		case v == undecided:
			out = undecided
		}
	}
	return out
}

// difference is a - b of independent numbers.
func difference(a, b eval.Mean) eval.Mean {
	half := math.Hypot(a.Hi-a.Lo, b.Hi-b.Lo) / 2
	d := a.Mean - b.Mean
	return eval.Mean{Mean: d, Lo: d - half, Hi: d + half, N: min(a.N, b.N)}
}

// minus is the number with the other sign; 0 stays without one.
func minus(m eval.Mean) eval.Mean {
	return eval.Mean{Mean: 0 - m.Mean, Lo: 0 - m.Hi, Hi: 0 - m.Lo, N: m.N}
}

// within gives a difference the interval of z standard errors instead of 1.96.
func within(d eval.Mean, z float64) eval.Mean {
	half := (d.Hi - d.Mean) * z / z95
	d.Lo, d.Hi = d.Mean-half, d.Mean+half
	return d
}

// bonferroni is the z of so many intervals that all hold at once in 95 % of all cases, at least.
func bonferroni(intervals int) float64 {
	return math.Sqrt2 * math.Erfinv(1-0.05/float64(intervals))
}

// z95 is the 97.5 % quantile of the normal distribution.
const z95 = 1.959963984540054

// clustered is the mean of values, with the normal 95 % interval for values that depend on each other within a group:
//
//	variance = G/(G-1) Σ_g (Σ_{i in g} (x_i - mean))² / n²,   G groups, n values.
//
// With groups of one it is eval.MeanOf.
func clustered(values []float64, groups []string) eval.Mean {
	n, mean := float64(len(values)), 0.0
	for _, v := range values {
		mean += v / n
	}
	sums := map[string]float64{}
	order := []string{} // of adding up, so that the bits are the same in every run
	for i, v := range values {
		if _, ok := sums[groups[i]]; !ok {
			order = append(order, groups[i])
		}
		sums[groups[i]] += v - mean
	}
	variance, g := 0.0, float64(len(order))
	for _, name := range order {
		variance += sums[name] * sums[name]
	}
	half := z95 * math.Sqrt(g/(g-1)*variance) / n
	return eval.Mean{Mean: mean, Lo: mean - half, Hi: mean + half, N: len(values)}
}

// gain is the mean of a - b, value by value.
func gain(a, b []float64, groups []string) eval.Mean {
	return clustered(subtract(a, b), groups)
}

// deviation is the standard deviation of values.
func deviation(values []float64) float64 {
	m := eval.MeanOf(values)
	return (m.Hi - m.Mean) / z95 * math.Sqrt(float64(len(values)))
}
