package kern

import "math"

// RoPETable returns the rotation table (maxPos, d): row t holds cos(t*f_0) ... cos(t*f_{d/2-1}), then the sines, with
// f_i = theta^(-2i/d) (Su et al. 2021, section 3.2.2). Angles, cosines and sines are computed in float64 and rounded once.
// d is even.
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

// RoPE rotates the heads of one token in place: the pair (x[i], x[i+d/2]) of each head turns by the i-th angle of row.
//
// x (heads*d), row (d) of a RoPETable.
func RoPE[T Float](x []T, heads, d int, row []T) {
	for h := range heads {
		rotate(x[h*d:(h+1)*d], x[h*d:(h+1)*d], row)
	}
}

// rotate sets dst to the head x turned by row. dst may be x. All of length d.
func rotate[T Float](dst, x, row []T) {
	half := len(x) / 2
	x0, x1 := x[:half], x[half:][:half]
	cos, sin := row[:half], row[half:][:half]
	dst0, dst1 := dst[:half], dst[half:][:half]
	n := vectorPart[T](half)
	if n > 0 {
		rotateAsm(n, ptr(dst0), ptr(dst1), ptr(x0), ptr(x1), ptr(cos), ptr(sin))
	}
	for i := n; i < half; i++ {
		a, b := x0[i], x1[i]
		dst0[i] = T(a*cos[i]) - T(b*sin[i])
		dst1[i] = T(b*cos[i]) + T(a*sin[i])
	}
}

// rotateBack sets dst to the head x turned back by row. dst may be x.
func rotateBack[T Float](dst, x, row []T) {
	half := len(x) / 2
	x0, x1 := x[:half], x[half:][:half]
	cos, sin := row[:half], row[half:][:half]
	dst0, dst1 := dst[:half], dst[half:][:half]
	n := vectorPart[T](half)
	if n > 0 {
		rotateBackAsm(n, ptr(dst0), ptr(dst1), ptr(x0), ptr(x1), ptr(cos), ptr(sin))
	}
	for i := n; i < half; i++ {
		a, b := x0[i], x1[i]
		dst0[i] = T(a*cos[i]) + T(b*sin[i])
		dst1[i] = T(b*cos[i]) - T(a*sin[i])
	}
}
