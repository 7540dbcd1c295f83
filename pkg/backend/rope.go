package backend

import "math"

// RoPETable returns the rotation table (maxPos, d) that attention takes: row t holds cos(t*f_0) ...
// cos(t*f_{d/2-1}), then the sines, with f_i = theta^(-2i/d) (Su et al. 2021, section 3.2.2).
// Angles, cosines and sines are computed in float64 and rounded once. d is even.
func RoPETable[T Float](maxPos, d int, theta float64) []T {
	half := d / 2
	table := make([]T, maxPos*d)
	for i := range half {
		freq := math.Pow(theta, -2*float64(i)/float64(d))
		for t := range maxPos {
			sin, cos := math.Sincos(float64(t) * freq)
			table[t*d+i] = T(cos)
			table[t*d+half+i] = T(sin)
		}
	}
	return table
}
