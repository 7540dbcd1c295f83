package kern

import (
	"sync"
)

// SwiGLU is the gated activation of the feed-forward net: out = silu(gate) * up, silu(g) = g / (1 + exp(-g))
// (Shazeer 2020, equation 6).
//
// gu (rows, 2f), a row being gate(f) | up(f); out (rows, f). Parallel over rows.
func SwiGLU[T Float](out, gu []T, rows, f int) {
	run(&swigluLoops, rows, rowGrain(4*f), swigluLoop[T]{out, gu, f})
}

var swigluLoops, swigluBackLoops sync.Pool

type swigluLoop[T Float] struct {
	out, gu []T
	f       int
}

func (l *swigluLoop[T]) Piece(lo, hi int) {
	f := l.f
	scr := take[T](f)
	defer give(scr)
	e := *scr
	for r := lo; r < hi; r++ {
		g, u := l.gu[2*r*f:(2*r+1)*f], l.gu[(2*r+1)*f:(2*r+2)*f]
		expNeg(e, g)
		gate(l.out[r*f:(r+1)*f], g, u, e)
	}
}

// SwiGLUBackward is the derivative of SwiGLU. With s = sigmoid(gate):
//
//	dgate = dout * up * s * (1 + gate*(1 - s))
//	dup   = dout * gate * s
//
// dgu, gu (rows, 2f); dout (rows, f). Parallel over rows.
func SwiGLUBackward[T Float](dgu, gu, dout []T, rows, f int) {
	run(&swigluBackLoops, rows, rowGrain(8*f), swigluBackLoop[T]{dgu, gu, dout, f})
}

type swigluBackLoop[T Float] struct {
	dgu, gu, dout []T
	f             int
}

func (l *swigluBackLoop[T]) Piece(lo, hi int) {
	f := l.f
	scr := take[T](f)
	defer give(scr)
	e := *scr
	for r := lo; r < hi; r++ {
		g, u := l.gu[2*r*f:(2*r+1)*f], l.gu[(2*r+1)*f:(2*r+2)*f]
		dg, du := l.dgu[2*r*f:(2*r+1)*f], l.dgu[(2*r+1)*f:(2*r+2)*f]
		expNeg(e, g)
		gateBackward(dg, du, g, u, e, l.dout[r*f:(r+1)*f])
	}
}

// expNeg sets dst = exp(-x).
func expNeg[T Float](dst, x []T) {
	mulConst(dst, x, -1)
	Exp(dst, dst)
}

// gate sets out = g / (1 + e) * u, where e = exp(-g).
func gate[T Float](out, g, u, e []T) {
	g, u, e = g[:len(out)], u[:len(out)], e[:len(out)]
	n := vectorPart[T](len(out))
	if n > 0 {
		gateAsm(n, ptr(out), ptr(g), ptr(u), ptr(e))
	}
	for i := n; i < len(out); i++ {
		out[i] = g[i] / (1 + e[i]) * u[i]
	}
}

// gateBackward is the derivative of gate, where e = exp(-g).
func gateBackward[T Float](dg, du, g, u, e, dout []T) {
	du, g, u, e, dout = du[:len(dg)], g[:len(dg)], u[:len(dg)], e[:len(dg)], dout[:len(dg)]
	n := vectorPart[T](len(dg))
	if n > 0 {
		gateBackwardAsm(n, ptr(dg), ptr(du), ptr(g), ptr(u), ptr(e), ptr(dout))
	}
	for i := n; i < len(dg); i++ {
		s := 1 / (1 + e[i])
		ds := dout[i] * s
		dg[i] = ds * u[i] * (1 + T(g[i]*(1-s)))
		du[i] = ds * g[i]
	}
}
