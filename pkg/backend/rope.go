package backend

import "math"

// RoPETable returns the rotation table (maxPos, d) that attention takes: row t holds cos(t*f_0) ...
// cos(t*f_{d/2-1}), then the sines, with f_i = theta^(-2i/d) (Su et al. 2021, section 3.2.2).
// d is even.
func RoPETable[T Float](maxPos, d int, theta float64) []T {
	freqs := make([]float64, d/2)
	for i := range freqs {
		freqs[i] = math.Pow(theta, -2*float64(i)/float64(d))
	}
	return RotationTable[T](maxPos, freqs, 1)
}

// RotationTable is RoPETable for other frequencies, (d/2), with cosines and sines times scale. Angles, cosines and sines are computed in
// float64 and rounded once.
func RotationTable[T Float](maxPos int, freqs []float64, scale float64) []T {
	half := len(freqs)
	d := 2 * half
	table := make([]T, maxPos*d)
	for i, freq := range freqs {
		for t := range maxPos {
			sin, cos := math.Sincos(float64(t) * freq)
			table[t*d+i] = T(scale * cos)
			table[t*d+half+i] = T(scale * sin)
		}
	}
	return table
}
