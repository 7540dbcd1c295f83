package kern

import (
	"math"
	"sync"
)

// RMSNorm normalises each row by its root mean square: out = x / sqrt(mean(x^2) + eps) * w
// (Zhang and Sennrich 2019, equation 4, with the eps of Llama).
//
// out, x (rows, c); w (c). Parallel over rows.
func RMSNorm[T Float](out, x, w []T, rows, c int, eps T) {
	run(&normLoops, rows, rowGrain(c), normLoop[T]{out: out, x: x, w: w[:c], c: c, eps: eps})
}

var normLoops sync.Pool

type normLoop[T Float] struct {
	out, x, w []T
	c         int
	eps       T
}

func (l *normLoop[T]) Piece(lo, hi int) {
	c := l.c
	for r := lo; r < hi; r++ {
		x := l.x[r*c : (r+1)*c]
		scaleMul(l.out[r*c:(r+1)*c], x, l.w, rstd(x, l.eps))
	}
}

// RMSNormBackward is the derivative of RMSNorm. With xhat = x / rms:
//
//	dx = (dout*w - xhat * mean(dout*w*xhat)) / rms
//	dw = sum over rows of dout * xhat
//
// dx, x, dout (rows, c); dw, w (c). dx or dw may be nil; add adds to dw instead of overwriting it. dx is computed in parallel
// over rows, dw in parallel over columns, so that each column is summed in row order.
func RMSNormBackward[T Float](dx, dw, x, w, dout []T, rows, c int, eps T, add bool) {
	scr := take[T](rows)
	defer give(scr)
	run(&normBackLoops, rows, rowGrain(c), normBackLoop[T]{dx: dx, x: x, w: w[:c], dout: dout, rstd: *scr, c: c, eps: eps})
	if dw == nil {
		return
	}
	run(&normWeightLoops, c, columnGrain, normWeightLoop[T]{dw: dw, x: x, dout: dout, rstd: *scr, rows: rows, c: c, add: add})
}

var normBackLoops, normWeightLoops sync.Pool

type normBackLoop[T Float] struct {
	dx, x, w, dout []T
	rstd           []T // (rows) 1 / rms, set here
	c              int
	eps            T
}

func (l *normBackLoop[T]) Piece(lo, hi int) {
	c := l.c
	for r := lo; r < hi; r++ {
		x := l.x[r*c : (r+1)*c]
		s := rstd(x, l.eps)
		l.rstd[r] = s
		if l.dx == nil {
			continue
		}
		dx := l.dx[r*c : (r+1)*c]
		scaleMul(dx, l.dout[r*c:(r+1)*c], l.w, s) // dout * w / rms
		m := Dot(dx, x) / T(c) * s * s
		axpy(dx, -m, x)
	}
}

type normWeightLoop[T Float] struct {
	dw, x, dout, rstd []T
	rows, c           int
	add               bool
}

func (l *normWeightLoop[T]) Piece(lo, hi int) {
	dw, c := l.dw[lo:hi], l.c
	if !l.add {
		clear(dw)
	}
	for r := range l.rows {
		mulAxpy(dw, l.dout[r*c+lo:r*c+hi], l.x[r*c+lo:r*c+hi], l.rstd[r])
	}
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
