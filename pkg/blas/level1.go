package blas

import (
	"math"

	"github.com/tame-rlhf/tame/internal/kern"
)

// Sdot returns the sum of x[i] * y[i] over n elements. See Sums in the package comment.
func (Float32) Sdot(n int, x []float32, incX int, y []float32, incY int) float32 {
	if !checkVectors(n, x, incX, y, incY) {
		return 0
	}
	if incX == 1 && incY == 1 {
		return kern.Dot(x[:n], y[:n])
	}
	return kern.SdotInc(n, x, incX, y, incY)
}

// Snrm2 returns the square root of the sum of x[i]² over n elements, 0 if incX is negative. Squares are exact and summed in
// float64, so none overflows or vanishes; the root is rounded once.
func (Float32) Snrm2(n int, x []float32, incX int) float32 {
	if !checkVector(n, x, incX) {
		return 0
	}
	if incX == 1 {
		return float32(math.Sqrt(kern.SumSquares(x[:n])))
	}
	return float32(math.Sqrt(kern.SumSquaresInc(n, x, incX)))
}

// Sasum returns the sum of |x[i]| over n elements, 0 if incX is negative. See Sums in the package comment.
func (Float32) Sasum(n int, x []float32, incX int) float32 {
	if n < 0 {
		panic(nLT0) // gonum looks at n first, here only
	}
	if !checkVector(n, x, incX) {
		return 0
	}
	if incX == 1 {
		return kern.Sasum(x[:n])
	}
	return kern.SasumInc(n, x, incX)
}

// Isamax returns the index i of the first of n elements with the greatest |x[i]|, -1 if n is 0 or incX is negative. NaN is passed
// over unless it comes first; then the index is 0.
func (Float32) Isamax(n int, x []float32, incX int) int {
	if !checkVector(n, x, incX) {
		return -1
	}
	if incX == 1 {
		return kern.Isamax(x[:n])
	}
	best, at := math.Abs(float64(x[0])), 0
	for i := range n {
		if v := math.Abs(float64(x[i*incX])); v > best {
			best, at = v, i
		}
	}
	return at
}

// Saxpy sets y[i] += alpha * x[i] for n elements, nothing if alpha is 0.
func (Float32) Saxpy(n int, alpha float32, x []float32, incX int, y []float32, incY int) {
	if !checkVectors(n, x, incX, y, incY) || alpha == 0 {
		return
	}
	if incX == 1 && incY == 1 {
		kern.Saxpy(alpha, x[:n], y[:n])
		return
	}
	for ix, iy := start(n, incX), start(n, incY); n > 0; n, ix, iy = n-1, ix+incX, iy+incY {
		y[iy] += float32(alpha * x[ix])
	}
}

// Sscal sets x[i] *= alpha for n elements, or to 0 if alpha is 0; nothing if incX is negative.
func (Float32) Sscal(n int, alpha float32, x []float32, incX int) {
	switch {
	case !checkVector(n, x, incX):
	case incX == 1 && alpha == 0:
		clear(x[:n])
	case incX == 1:
		kern.Sscal(alpha, x[:n])
	default:
		for ix := 0; ix < n*incX; ix += incX {
			if alpha == 0 {
				x[ix] = 0
			} else {
				x[ix] *= alpha
			}
		}
	}
}

// Sswap exchanges x[i] and y[i] for n elements.
func (Float32) Sswap(n int, x []float32, incX int, y []float32, incY int) {
	if !checkVectors(n, x, incX, y, incY) {
		return
	}
	if incX == 1 && incY == 1 {
		kern.Sswap(x[:n], y[:n])
		return
	}
	for ix, iy := start(n, incX), start(n, incY); n > 0; n, ix, iy = n-1, ix+incX, iy+incY {
		x[ix], y[iy] = y[iy], x[ix]
	}
}

// Srot sets x[i], y[i] = c*x[i] + s*y[i], c*y[i] - s*x[i] for n elements.
func (Float32) Srot(n int, x []float32, incX int, y []float32, incY int, c, s float32) {
	if !checkVectors(n, x, incX, y, incY) {
		return
	}
	if incX == 1 && incY == 1 {
		kern.Srot(x[:n], y[:n], c, s)
		return
	}
	for ix, iy := start(n, incX), start(n, incY); n > 0; n, ix, iy = n-1, ix+incX, iy+incY {
		x[ix], y[iy] = kern.SrotPair(x[ix], y[iy], c, s)
	}
}
