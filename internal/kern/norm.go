package kern

import "math"

// RMSNorm normalises each row by its root mean square: out = x / sqrt(mean(x^2) + eps) * w
// (Zhang and Sennrich 2019, equation 4, with the eps of Llama).
//
// out, x (rows, c); w (c). Parallel over rows.
func RMSNorm[T Float](out, x, w []T, rows, c int, eps T) {
	w = w[:c]
	For(rows, rowGrain(c), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			xr := x[r*c : (r+1)*c]
			scaleMul(out[r*c:(r+1)*c], xr, w, rstd(xr, eps))
		}
	})
}

// RMSNormBackward is the derivative of RMSNorm. With xhat = x / rms:
//
//	dx = (dout*w - xhat * mean(dout*w*xhat)) / rms
//	dw = sum over rows of dout * xhat
//
// dx, x, dout (rows, c); dw, w (c). dx or dw may be nil. dx is computed in parallel over rows, dw in parallel over
// columns, so that each column is summed in row order.
func RMSNormBackward[T Float](dx, dw, x, w, dout []T, rows, c int, eps T) {
	w = w[:c]
	scr := take[T](rows)
	defer give(scr)
	rs := *scr // (rows) 1 / rms
	For(rows, rowGrain(c), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			xr := x[r*c : (r+1)*c]
			rs[r] = rstd(xr, eps)
			if dx == nil {
				continue
			}
			dr := dx[r*c : (r+1)*c]
			gr := dout[r*c : (r+1)*c]
			s := rs[r]
			scaleMul(dr, gr, w, s) // dout * w / rms
			m := Dot(dr, xr) / T(c) * s * s
			axpy(dr, -m, xr)
		}
	})
	if dw == nil {
		return
	}
	dw = dw[:c]
	For(c, columnGrain, func(lo, hi int) {
		clear(dw[lo:hi])
		for r := range rows {
			mulAxpy(dw[lo:hi], dout[r*c+lo:r*c+hi], x[r*c+lo:r*c+hi], rs[r])
		}
	})
}

// rstd is 1 / sqrt(mean(x^2) + eps), computed in float64 and rounded once.
func rstd[T Float](x []T, eps T) T {
	return T(1 / math.Sqrt(SumSquares(x)/float64(len(x))+float64(eps)))
}

// scaleMul sets dst = x * alpha * w. dst may be x.
func scaleMul[T Float](dst, x, w []T, alpha T) {
	x, w = x[:len(dst)], w[:len(dst)]
	n := vectorPart[T](len(dst))
	if n > 0 {
		scaleMulAsm(n, ptr(dst), ptr(x), ptr(w), float32(alpha))
	}
	for i := n; i < len(dst); i++ {
		dst[i] = x[i] * alpha * w[i]
	}
}

// columnGrain is the least number of columns worth a goroutine: four cache lines of float32, so neighbours share few.
const columnGrain = 64

// rowGrain is the least number of rows of c elements worth a goroutine.
func rowGrain(c int) int { return 1 + (1<<13)/max(c, 1) }
