package eval

import (
	"encoding/json"
	"fmt"
	"math"
)

// Mean is a mean with its 95 % interval.
type Mean struct {
	Mean float64 `json:"mean"`
	Lo   float64 `json:"lo"`
	Hi   float64 `json:"hi"`
	N    int     `json:"n"`
}

const z95 = 1.959963984540054 // 97.5 % quantile of the normal distribution

// MeanOf is the mean of independent values with the normal interval mean ± 1.96 s/√n; it is NaN for a single value, and
// all is NaN for none.
func MeanOf(values []float64) Mean {
	n := float64(len(values))
	mean, squares := 0.0, 0.0
	for _, v := range values {
		mean += v
	}
	mean /= n
	for _, v := range values {
		squares += (v - mean) * (v - mean)
	}
	half := z95 * math.Sqrt(squares/(n-1)/n)
	return Mean{Mean: mean, Lo: mean - half, Hi: mean + half, N: len(values)}
}

// ShareOf is the share of true values with the Wilson score interval, which stays inside [0, 1] and is right for shares
// near the ends.
func ShareOf(values []bool) Mean {
	hits := 0
	for _, v := range values {
		if v {
			hits++
		}
	}
	return shareOf(float64(hits), len(values))
}

// shareOf is the share of hits among n with the Wilson score interval.
func shareOf(hits float64, n int) Mean {
	lo, hi := Wilson(hits, n)
	return Mean{Mean: hits / float64(n), Lo: lo, Hi: hi, N: n}
}

// Wilson is the 95 % Wilson score interval of hits out of n; NaN if n is 0. Hits need not be whole: a tie may count half.
func Wilson(hits float64, n int) (lo, hi float64) {
	c, p := float64(n), hits/float64(n)
	centre := (p + z95*z95/(2*c)) / (1 + z95*z95/c)
	half := z95 / (1 + z95*z95/c) * math.Sqrt(p*(1-p)/c+z95*z95/(4*c*c))
	return max(0, centre-half), min(1, centre+half) // rounding may leave the ends
}

// Above reports whether m lies above o with intervals that do not touch.
func (m Mean) Above(o Mean) bool { return m.Lo > o.Hi }

// MarshalJSON writes null for what is not a number, which JSON does not know: the interval of a single value, say.
func (m Mean) MarshalJSON() ([]byte, error) {
	number := func(x float64) *float64 {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return nil
		}
		return &x
	}
	return json.Marshal(struct {
		Mean *float64 `json:"mean"`
		Lo   *float64 `json:"lo"`
		Hi   *float64 `json:"hi"`
		N    int      `json:"n"`
	}{number(m.Mean), number(m.Lo), number(m.Hi), m.N})
}

// String is the mean with its interval, "0.500 [0.400, 0.600]"; without it where there is none, as
// with a single value.
func (m Mean) String() string {
	if math.IsNaN(m.Lo) || math.IsNaN(m.Hi) {
		return fmt.Sprintf("%.3f", m.Mean)
	}
	return fmt.Sprintf("%.3f [%.3f, %.3f]", m.Mean, m.Lo, m.Hi)
}
