package kern

// RoPE rotates the heads of one token in place: the pair (x[i], x[i+d/2]) of each head turns by the i-th angle of row.
//
// x (heads*d), row (d) the cosines and then the sines of the angles of a position (pkg/backend.RoPETable).
func RoPE[T Float](x []T, heads, d int, row []T) {
	for h := range heads {
		rotate(x[h*d:(h+1)*d], x[h*d:(h+1)*d], row, false)
	}
}

// rotate sets dst to the head x turned by row, or turned back. dst may be x. All of length d.
func rotate[T Float](dst, x, row []T, back bool) {
	half := len(x) / 2
	x0, x1 := x[:half], x[half:][:half]
	cos, sin := row[:half], row[half:][:half]
	dst0, dst1 := dst[:half], dst[half:][:half]
	n := vectorPart[T](half)
	switch {
	case n > 0 && back:
		rotateBackAsm(n, ptr(dst0), ptr(dst1), ptr(x0), ptr(x1), ptr(cos), ptr(sin))
	case n > 0:
		rotateAsm(n, ptr(dst0), ptr(dst1), ptr(x0), ptr(x1), ptr(cos), ptr(sin))
	}
	for i := n; i < half; i++ {
		a, b, s := x0[i], x1[i], sin[i]
		if back {
			s = -s
		}
		dst0[i] = T(a*cos[i]) - T(b*s)
		dst1[i] = T(b*cos[i]) + T(a*s)
	}
}
