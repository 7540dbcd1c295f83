package eval

import (
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

// MeanOf is the mean of independent values with the normal interval mean ± 1.96 s/√n.
func MeanOf(values []float64) Mean {
	n := float64(len(values))
	mean, squares := 0.0, 0.0
	for _, v := range values {
		mean += v / n
	}
	for _, v := range values {
		squares += (v - mean) * (v - mean)
	}
	half := z95 * math.Sqrt(squares/(n-1)/n)
	return Mean{Mean: mean, Lo: mean - half, Hi: mean + half, N: len(values)}
}

// ShareOf is the share of true values with the Wilson score interval, which stays inside [0, 1] and is right for shares
// near the ends.
func ShareOf(values []bool) Mean {
	n, hits := float64(len(values)), 0.0
	for _, v := range values {
		if v {
			hits++
		}
	}
	p := hits / n
	centre := (p + z95*z95/(2*n)) / (1 + z95*z95/n)
	half := z95 / (1 + z95*z95/n) * math.Sqrt(p*(1-p)/n+z95*z95/(4*n*n))
	return Mean{Mean: p, Lo: centre - half, Hi: centre + half, N: len(values)}
}

// Above reports whether m lies above o with intervals that do not touch.
func (m Mean) Above(o Mean) bool { return m.Lo > o.Hi }

// String is "0.512 [0.490, 0.534]".
func (m Mean) String() string { return fmt.Sprintf("%.3f [%.3f, %.3f]", m.Mean, m.Lo, m.Hi) }
