package kern

import (
	"math"
	"sync"
)

// lanes is the number of virtual accumulators of a reduction: element i adds to lane i mod lanes, whatever the width of the
// machine's vectors, and the lanes are then added along one tree.
const lanes = 16

// vecGrain is the least number of elements worth a goroutine of its own in an element-wise loop.
const vecGrain = 1 << 14

// Sum returns the sum of x in the fixed order of sixteen lanes; 0 for an empty slice.
func Sum[T Float](x []T) T {
	if inAsm[T]() {
		return T(sumAsm(len(x), ptr(x)))
	}
	var acc [lanes]T
	for ; len(x) >= lanes; x = x[lanes:] {
		s := (*[lanes]T)(x)
		for i := range s {
			acc[i] += s[i]
		}
	}
	for i, v := range x {
		acc[i] += v
	}
	return sumLanes(&acc)
}

// Dot returns the sum of a[i]*b[i] in the fixed order of sixteen lanes.
func Dot[T Float](a, b []T) T {
	b = b[:len(a)]
	if inAsm[T]() {
		return T(dotAsm(len(a), ptr(a), ptr(b)))
	}
	var acc [lanes]T
	for ; len(a) >= lanes; a, b = a[lanes:], b[lanes:] {
		s, t := (*[lanes]T)(a), (*[lanes]T)(b)
		for i := range s {
			acc[i] += T(s[i] * t[i])
		}
	}
	for i := range a {
		acc[i] += T(a[i] * b[i])
	}
	return sumLanes(&acc)
}

// SumSquares returns the sum of the squares of x, each squared and added in float64 in the fixed order of sixteen lanes, so
// that the norm of a large gradient loses nothing and cannot overflow.
func SumSquares[T Float](x []T) float64 {
	if inAsm[T]() {
		return sumSquaresAsm(len(x), ptr(x))
	}
	var acc [lanes]float64
	for ; len(x) >= lanes; x = x[lanes:] {
		s := (*[lanes]T)(x)
		for i := range s {
			acc[i] += float64(float64(s[i]) * float64(s[i]))
		}
	}
	for i, v := range x {
		acc[i] += float64(float64(v) * float64(v))
	}
	return sumLanes(&acc)
}

// sumLanes adds the lanes pairwise: 8 apart, 4 apart, 2 apart, neighbours.
func sumLanes[T Float](acc *[lanes]T) T {
	for half := lanes / 2; half > 0; half /= 2 {
		for i := range half {
			acc[i] += acc[i+half]
		}
	}
	return acc[0]
}

// Max returns the greatest element of x, NaN if there is a NaN, -Inf for an empty slice. Of zeros of both signs it may return
// either.
func Max[T Float](x []T) T {
	if inAsm[T]() {
		return T(maxAsm(len(x), ptr(x)))
	}
	m := T(math.Inf(-1))
	for _, v := range x {
		if v > m || v != v {
			m = v
		}
		if m != m {
			return m
		}
	}
	return m
}

// Add sets dst = a + b on up to GOMAXPROCS goroutines. dst may be a or b.
func Add[T Float](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	if len(dst) < 2*vecGrain { // a short loop does without the pool
		add(dst, a, b)
		return
	}
	run(&addLoops, len(dst), vecGrain, addLoop[T]{dst, a, b})
}

var addLoops sync.Pool

type addLoop[T Float] struct{ dst, a, b []T }

func (l *addLoop[T]) Piece(lo, hi int) { add(l.dst[lo:hi], l.a[lo:hi], l.b[lo:hi]) }

// AddTo sets dst += a on up to GOMAXPROCS goroutines.
func AddTo[T Float](dst, a []T) { Add(dst, dst, a) }

// Axpy sets dst += alpha * x on up to GOMAXPROCS goroutines.
func Axpy[T Float](dst []T, alpha T, x []T) {
	x = x[:len(dst)]
	if len(dst) < 2*vecGrain {
		axpy(dst, alpha, x)
		return
	}
	run(&axpyLoops, len(dst), vecGrain, axpyLoop[T]{dst, x, alpha})
}

var axpyLoops sync.Pool

type axpyLoop[T Float] struct {
	dst, x []T
	alpha  T
}

func (l *axpyLoop[T]) Piece(lo, hi int) { axpy(l.dst[lo:hi], l.alpha, l.x[lo:hi]) }

func add[T Float](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	n := vectorPart[T](len(dst))
	if n > 0 {
		addAsm(n, ptr(dst), ptr(a), ptr(b))
	}
	for i := n; i < len(dst); i++ {
		dst[i] = a[i] + b[i]
	}
}

func scale[T Float](dst []T, alpha T) { mulConst(dst, dst, alpha) }

// mulConst sets dst = x * c. dst may be x.
func mulConst[T Float](dst, x []T, c T) {
	x = x[:len(dst)]
	n := vectorPart[T](len(dst))
	if n > 0 {
		mulConstAsm(n, ptr(dst), ptr(x), float32(c))
	}
	for i := n; i < len(dst); i++ {
		dst[i] = x[i] * c
	}
}

func axpy[T Float](dst []T, alpha T, x []T) {
	x = x[:len(dst)]
	n := vectorPart[T](len(dst))
	if n > 0 {
		axpyAsm(n, ptr(dst), ptr(x), float32(alpha))
	}
	for i := n; i < len(dst); i++ {
		dst[i] += T(alpha * x[i])
	}
}

// addConst sets dst = x + c. dst may be x.
func addConst[T Float](dst, x []T, c T) {
	x = x[:len(dst)]
	n := vectorPart[T](len(dst))
	if n > 0 {
		addConstAsm(n, ptr(dst), ptr(x), float32(c))
	}
	for i := n; i < len(dst); i++ {
		dst[i] = x[i] + c
	}
}

// mulAxpy sets dst += a * b * alpha, element by element.
func mulAxpy[T Float](dst, a, b []T, alpha T) {
	a, b = a[:len(dst)], b[:len(dst)]
	n := vectorPart[T](len(dst))
	if n > 0 {
		mulAxpyAsm(n, ptr(dst), ptr(a), ptr(b), float32(alpha))
	}
	for i := n; i < len(dst); i++ {
		dst[i] += T(a[i] * b[i] * alpha)
	}
}
