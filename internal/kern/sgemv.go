package kern

import (
	"runtime"
	"sync"
)

const (
	gemvWork = 1 << 15 // elements of A that are worth a goroutine
	gemvCols = 1 << 12 // most elements of y that meet all rows of A at once: they stay in the L1 cache
	gemvWide = 1 << 10 // elements of y beyond which a goroutine's share need not be wider
	gemvUnit = 16      // elements of y, a cache line, that a share is a multiple of
)

// Sgemv computes y = alpha op(A) x + beta y, where op transposes if the flag says so and A is m by n, row-major with lda elements
// from row to row. The vectors' elements are incX and incY apart, not 0; from the last to the first if negative. With beta 0, y
// is not read; with alpha 0, A and x are not. It uses up to GOMAXPROCS goroutines. y must not overlap A or x.
//
// An element of y depends on its row of op(A), x, its old value and the scalars only, bit for bit. Products are rounded before
// they are added. It is
//
//	y = beta y;  y = y + alpha Dot(row, x)                              without transposition
//	y = beta y;  for each row i of A: y = y + (alpha x[i]) A[i][j]      with
func Sgemv(trans bool, m, n int, alpha float32, a []float32, lda int, x []float32, incX int, beta float32, y []float32, incY int) {
	lenX, lenY := n, m
	if trans {
		lenX, lenY = m, n
	}
	if lenY == 0 {
		return
	}
	if incY != 1 {
		buf := take[float32](lenY)
		defer give(buf)
		gather(*buf, y, incY)
		defer scatter(y, incY, *buf)
		y = *buf
	}
	y = y[:lenY]
	if beta == 0 {
		clear(y)
	} else if beta != 1 {
		scale(y, beta)
	}
	if alpha == 0 || lenX == 0 {
		return
	}
	if incX != 1 {
		buf := take[float32](lenX)
		defer give(buf)
		gather(*buf, x, incX)
		x = *buf
	}
	checkMatrix(m, n, lda, len(a), shortA)
	l := gemvLoop{trans, alpha, view[float32]{a, lda, 1}, x[:lenX], y}
	units, grain := ceilDiv(lenY, gemvUnit), ceilDiv(gemvWork, lenX*gemvUnit)
	if trans { // memory gives short pieces of many rows slowly
		grain = max(grain, min(units/runtime.GOMAXPROCS(0), gemvWide/gemvUnit))
	}
	run(&gemvLoops, units, grain, l)
}

var gemvLoops sync.Pool

// gemvLoop is a loop over units of y += alpha op(A) x.
type gemvLoop struct {
	trans bool
	alpha float32
	a     view[float32]
	x, y  []float32
}

func (l *gemvLoop) Piece(lo, hi int) {
	lo, hi = lo*gemvUnit, min(hi*gemvUnit, len(l.y))
	if !l.trans {
		l.rows(lo, hi)
		return
	}
	for ; lo < hi; lo += gemvCols {
		l.cols(lo, min(lo+gemvCols, hi))
	}
}

// rows adds to elements [lo, hi) of y without transposition.
func (l *gemvLoop) rows(lo, hi int) {
	for lo+4 <= hi {
		n := fewRows(hi-lo, len(l.x))
		rowsTimes(l.y[lo:lo+n], l.alpha, l.a.from(lo, 0), l.a.rs, l.x)
		lo += n
	}
	for ; lo < hi; lo++ {
		l.y[lo] += float32(l.alpha * Dot(l.x, l.a.from(lo, 0)))
	}
}

// cols adds to elements [lo, hi) of y with transposition.
func (l *gemvLoop) cols(lo, hi int) {
	y, x, i := l.y[lo:hi], l.x, 0
	for i+4 <= len(x) {
		n := fewRows(len(x)-i, len(y))
		addRows(y, l.alpha, l.a.from(i, lo), l.a.rs, x[i:i+n])
		i += n
	}
	for ; i < len(x); i++ {
		saxpy(y, l.alpha*x[i], l.a.from(i, lo))
	}
}

// fewRows is how many of rows, at least 4, to give to the assembly at once: a multiple of 4. A goroutine that is in it cannot make room for
// another, nor for the garbage collector.
func fewRows(rows, cols int) int { return max(4, min(rows, gemvWork/cols)&^3) }

// Sger computes A += alpha x yᵀ on up to GOMAXPROCS goroutines. A is m by n, see Sgemv, and must not overlap x or y. An element is
// a = a + (alpha x) y, the products rounded. With alpha 0, nothing is read.
func Sger(m, n int, alpha float32, x []float32, incX int, y []float32, incY int, a []float32, lda int) {
	if m == 0 || n == 0 || alpha == 0 {
		return
	}
	checkMatrix(m, n, lda, len(a), shortA)
	if incY != 1 {
		buf := take[float32](n)
		defer give(buf)
		gather(*buf, y, incY)
		y = *buf
	}
	run(&gerLoops, m, ceilDiv(gemvWork, n), gerLoop{alpha, x, incX, start(m, incX), y[:n], view[float32]{a, lda, 1}})
}

var gerLoops sync.Pool

// gerLoop is a loop over the rows of A += alpha x yᵀ. Element i of x is x[first+i*incX].
type gerLoop struct {
	alpha       float32
	x           []float32
	incX, first int
	y           []float32
	a           view[float32]
}

func (l *gerLoop) Piece(lo, hi int) {
	for i := lo; i < hi; i++ {
		saxpy(l.a.from(i, 0)[:len(l.y)], l.alpha*l.x[l.first+i*l.incX], l.y)
	}
}

// start is the place of the first of n elements that are inc apart.
func start(n, inc int) int {
	if inc < 0 {
		return (1 - n) * inc
	}
	return 0
}

// gather sets dst to elements of x that are inc apart.
func gather(dst, x []float32, inc int) {
	at := start(len(dst), inc)
	for i := range dst {
		dst[i] = x[at+i*inc]
	}
}

// scatter does the reverse.
func scatter(x []float32, inc int, src []float32) {
	at := start(len(src), inc)
	for i, v := range src {
		x[at+i*inc] = v
	}
}

func rowsTimesGo(y []float32, alpha float32, a []float32, lda int, x []float32) {
	for i := range y {
		y[i] += float32(alpha * Dot(x, a[i*lda:]))
	}
}

func addRowsGo(y []float32, alpha float32, a []float32, lda int, x []float32) {
	for i, v := range x {
		axpy(y, alpha*v, a[i*lda:])
	}
}
