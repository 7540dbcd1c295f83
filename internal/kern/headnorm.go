package kern

import "sync"

// HeadNorm is RMSNorm on each head of queries and of keys, with weights that the heads of a kind share; values are copied. That is what
// Qwen3 has between the projection and the rotation.
//
// out, x (rows, (H+2KV)*D) packed q|k|v; qw, kw (D). out may be x. Parallel over rows.
func HeadNorm[T Float](out, x, qw, kw []T, rows int, sh AttnShape, eps T) {
	run(&headNormLoops, rows, rowGrain(sh.width()), headNormLoop[T]{out: out, x: x, qw: qw[:sh.D], kw: kw[:sh.D], sh: sh, eps: eps})
}

var headNormLoops, headNormBackLoops, headNormWeightLoops sync.Pool

type headNormLoop[T Float] struct {
	out, x, qw, kw []T
	sh             AttnShape
	eps            T
}

func (l *headNormLoop[T]) Piece(lo, hi int) {
	d, width := l.sh.D, l.sh.width()
	for r := lo; r < hi; r++ {
		out, x := l.out[r*width:][:width], l.x[r*width:][:width]
		for h := range l.sh.H + l.sh.KV {
			head := x[h*d:][:d]
			scaleMul(out[h*d:][:d], head, headWeight(h, l.sh, l.qw, l.kw), rstd(head, l.eps))
		}
		copy(out[(l.sh.H+l.sh.KV)*d:], x[(l.sh.H+l.sh.KV)*d:])
	}
}

// headWeight is the weights of head h of queries and keys.
func headWeight[T Float](h int, sh AttnShape, qw, kw []T) []T {
	if h < sh.H {
		return qw
	}
	return kw
}

// HeadNormBackward is the derivative of HeadNorm, see RMSNormBackward. The gradients of the weights are sums over rows and heads in a fixed
// order: row after row, in a row head after head.
//
// dx, x, dout (rows, (H+2KV)*D); dqw, dkw, qw, kw (D). dx, dqw or dkw may be nil; addQ and addK add to dqw and dkw instead of overwriting them.
func HeadNormBackward[T Float](dx, dqw, dkw, x, qw, kw, dout []T, rows int, sh AttnShape, eps T, addQ, addK bool) {
	heads := sh.H + sh.KV
	scr := take[T](rows * heads)
	defer give(scr)
	run(&headNormBackLoops, rows, rowGrain(sh.width()), headNormBackLoop[T]{
		dx: dx, x: x, qw: qw[:sh.D], kw: kw[:sh.D], dout: dout, rstd: *scr, sh: sh, eps: eps,
	})
	weights := func(dw []T, from, to int, add bool) {
		if dw != nil {
			run(&headNormWeightLoops, sh.D, columnGrain, headNormWeightLoop[T]{
				dw: dw, x: x, dout: dout, rstd: *scr, rows: rows, from: from, to: to, sh: sh, add: add,
			})
		}
	}
	weights(dqw, 0, sh.H, addQ)
	weights(dkw, sh.H, heads, addK)
}

type headNormBackLoop[T Float] struct {
	dx, x, qw, kw, dout []T
	rstd                []T // (rows, H+KV) 1 / rms, set here
	sh                  AttnShape
	eps                 T
}

func (l *headNormBackLoop[T]) Piece(lo, hi int) {
	d, width, heads := l.sh.D, l.sh.width(), l.sh.H+l.sh.KV
	for r := lo; r < hi; r++ {
		for h := range heads {
			at := r*width + h*d
			x := l.x[at:][:d]
			s := rstd(x, l.eps)
			l.rstd[r*heads+h] = s
			if l.dx == nil {
				continue
			}
			dx := l.dx[at:][:d]
			scaleMul(dx, l.dout[at:][:d], headWeight(h, l.sh, l.qw, l.kw), s) // dout * w / rms
			axpy(dx, -(Dot(dx, x) / T(d) * s * s), x)
		}
		if l.dx != nil {
			copy(l.dx[r*width+heads*d:][:l.sh.KV*d], l.dout[r*width+heads*d:])
		}
	}
}

// headNormWeightLoop is a loop over the columns of the weights of the heads [from, to).
type headNormWeightLoop[T Float] struct {
	dw, x, dout, rstd []T
	rows, from, to    int
	sh                AttnShape
	add               bool
}

func (l *headNormWeightLoop[T]) Piece(lo, hi int) {
	d, width, heads, dw := l.sh.D, l.sh.width(), l.sh.H+l.sh.KV, l.dw[lo:hi]
	if !l.add {
		clear(dw)
	}
	for r := range l.rows {
		for h := l.from; h < l.to; h++ {
			at := r*width + h*d
			mulAxpy(dw, l.dout[at+lo:at+hi], l.x[at+lo:at+hi], l.rstd[r*heads+h])
		}
	}
}
