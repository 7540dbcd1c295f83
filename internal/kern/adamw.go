package kern

import (
	"math"
	"sync"
)

// AdamW updates the parameters p in one pass (Loshchilov and Hutter 2019, algorithm 2, decay scaled by the learning rate as
// in PyTorch). With g the gradient times gradScale:
//
//	m = beta1*m + (1-beta1)*g
//	v = beta2*v + (1-beta2)*g*g
//	p = p - lr*decay*p - lr * (m/bias1) / (sqrt(v/bias2) + eps)
//
// p, g, m, v of one length; g is not changed. bias1 = 1 - beta1^t and bias2 = 1 - beta2^t at step t = 1, 2, ...
// Parallel over elements.
func AdamW[T Float](p, g, m, v []T, lr, beta1, beta2, eps, decay, bias1, bias2, gradScale T) {
	g, m, v = g[:len(p)], m[:len(p)], v[:len(p)]
	run(&adamWLoops, len(p), vecGrain/4, adamWLoop[T]{p: p, g: g, m: m, v: v, k: adamWConsts[T]{
		scale: gradScale,
		b1:    beta1, c1: 1 - beta1,
		b2: beta2, c2: 1 - beta2,
		keep: 1 - lr*decay,
		step: lr / bias1,
		root: T(1 / math.Sqrt(float64(bias2))),
		eps:  eps,
	}})
}

var adamWLoops sync.Pool

type adamWLoop[T Float] struct {
	p, g, m, v []T
	k          adamWConsts[T]
}

func (l *adamWLoop[T]) Piece(lo, hi int) {
	adamW(l.p[lo:hi], l.g[lo:hi], l.m[lo:hi], l.v[lo:hi], &l.k)
}

// adamWConsts are the factors of one update, the same for all elements: sqrt(v/bias2) is sqrt(v)*root.
type adamWConsts[T Float] struct {
	scale, b1, c1, b2, c2, keep, step, root, eps T
}

func adamW[T Float](p, g, m, v []T, k *adamWConsts[T]) {
	g, m, v = g[:len(p)], m[:len(p)], v[:len(p)]
	n := vectorPart[T](len(p))
	if n > 0 {
		adamWAsm(n, ptr(p), ptr(g), ptr(m), ptr(v), float32(k.scale), float32(k.b1), float32(k.c1), float32(k.b2),
			float32(k.c2), float32(k.keep), float32(k.step), float32(k.root), float32(k.eps))
	}
	for i := n; i < len(p); i++ {
		gi := g[i] * k.scale
		mi := T(k.b1*m[i]) + T(k.c1*gi)
		vi := T(k.b2*v[i]) + T(k.c2*gi*gi)
		m[i], v[i] = mi, vi
		p[i] = T(p[i]*k.keep) - k.step*mi/(T(T(math.Sqrt(float64(vi)))*k.root)+k.eps)
	}
}
