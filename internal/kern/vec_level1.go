package kern

import (
	"math"
	"sync"
)

// Operations of BLAS level 1 beside those of vec.go, in float32. Vectors lie one element after the other, but for functions named
// Inc: those take elements incX and incY apart, from the last to the first if negative, and have the same bits.

// Sasum returns the sum of the absolute values of x in the order of Sum.
func Sasum(x []float32) float32 {
	if inAsm[float32]() {
		return sumAbsAsm(len(x), ptr(x))
	}
	return SasumInc(len(x), x, 1)
}

// SasumInc is Sasum of n elements incX apart.
func SasumInc(n int, x []float32, incX int) float32 {
	var acc [lanes]float32
	for i, at := 0, start(n, incX); i < n; i, at = i+1, at+incX {
		acc[i%lanes] += abs(x[at])
	}
	return sumLanes(&acc)
}

// SumSquaresInc is SumSquares of n elements incX apart.
func SumSquaresInc(n int, x []float32, incX int) float64 {
	var acc [lanes]float64
	for i, at := 0, start(n, incX); i < n; i, at = i+1, at+incX {
		acc[i%lanes] += float64(float64(x[at]) * float64(x[at]))
	}
	return sumLanes(&acc)
}

// SdotInc is Dot of n elements incX and incY apart.
func SdotInc(n int, x []float32, incX int, y []float32, incY int) float32 {
	var acc [lanes]float32
	for i, at, to := 0, start(n, incX), start(n, incY); i < n; i, at, to = i+1, at+incX, to+incY {
		acc[i%lanes] += float32(x[at] * y[to])
	}
	return sumLanes(&acc)
}

// Isamax returns the index of the first element of x with the greatest absolute value, -1 if there is none. NaN is passed
// over, unless it comes first: then the index is 0. That is what comparisons make of a loop, and what BLAS is expected to do.
func Isamax(x []float32) int {
	if len(x) == 0 {
		return -1
	}
	if x[0] != x[0] {
		return 0
	}
	best, at := abs(x[0]), 0
	if !inAsm[float32]() {
		for i, v := range x {
			if v := abs(v); v > best {
				best, at = v, i
			}
		}
		return at
	}
	const block = 1 << 10
	for i := 0; i < len(x); i += block {
		if m := maxAbsAsm(min(block, len(x)-i), ptr(x[i:])); m > best {
			best, at = m, i
		}
	}
	for abs(x[at]) != best {
		at++
	}
	return at
}

func abs(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }

// Saxpy sets y += alpha x, of the same length, on up to GOMAXPROCS goroutines. The product is rounded first, as in Axpy.
func Saxpy(alpha float32, x, y []float32) {
	spreadPair(pairLoop{func(x, y []float32, alpha, _ float32) { saxpy(y, alpha, x) }, x, y[:len(x)], alpha, 0})
}

// Sscal sets x *= alpha on up to GOMAXPROCS goroutines.
func Sscal(alpha float32, x []float32) {
	spreadPair(pairLoop{func(x, _ []float32, alpha, _ float32) { scale(x, alpha) }, x, x, alpha, 0})
}

// Sswap exchanges the elements of x and y, of the same length, on up to GOMAXPROCS goroutines.
func Sswap(x, y []float32) { spreadPair(pairLoop{swap, x, y[:len(x)], 0, 0}) }

func swap(x, y []float32, _, _ float32) {
	n := vectorPart[float32](len(x))
	if n > 0 {
		swapAsm(n, ptr(x), ptr(y))
	}
	for i := n; i < len(x); i++ {
		x[i], y[i] = y[i], x[i]
	}
}

// Srot sets x, y = c x + s y, c y - s x, of the same length, on up to GOMAXPROCS goroutines.
func Srot(x, y []float32, c, s float32) { spreadPair(pairLoop{rot, x, y[:len(x)], c, s}) }

func rot(x, y []float32, c, s float32) {
	n := vectorPart[float32](len(x))
	if n > 0 {
		rotAsm(n, ptr(x), ptr(y), c, s)
	}
	for i := n; i < len(x); i++ {
		x[i], y[i] = SrotPair(x[i], y[i], c, s)
	}
}

// SrotPair is Srot of one element.
func SrotPair(x, y, c, s float32) (newX, newY float32) {
	return float32(c*x) + float32(s*y), float32(c*y) - float32(s*x)
}

// pairLoop is a loop that changes two vectors of the same length.
type pairLoop struct {
	f    func(x, y []float32, a, b float32)
	x, y []float32
	a, b float32
}

func (l *pairLoop) Piece(lo, hi int) { l.f(l.x[lo:hi], l.y[lo:hi], l.a, l.b) }

var pairLoops sync.Pool

// spreadPair runs the loop on up to GOMAXPROCS goroutines.
func spreadPair(p pairLoop) {
	if len(p.x) < 2*vecGrain { // a short loop does without the pool
		p.Piece(0, len(p.x))
		return
	}
	run(&pairLoops, len(p.x), vecGrain, p)
}
