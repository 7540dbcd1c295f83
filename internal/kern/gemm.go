package kern

import "runtime"

// KC is the length of the blocks in which Gemm sums over k.
const KC = 256

const (
	shortA  = "kern: matrix A is shorter than its shape and stride need"
	shortB  = "kern: matrix B is shorter than its shape and stride need"
	shortC  = "kern: matrix C is shorter than its shape and stride need"
	badSize = "kern: negative matrix size or stride shorter than a row"
)

// Gemm computes C = alpha op(A) op(B) + beta C, where op transposes if the flag says so, op(A) is
// m by k, op(B) is k by n, C is m by n, and all are row-major with lda, ldb and ldc elements from
// row to row. C must not overlap A or B. With beta 0, C is not read.
//
// An element of C depends on its row of op(A), its column of op(B), its old value and the scalars
// only, down to the last bit: not on m, n, its place, the strides, transposition, the number of
// goroutines, or AVX2 against AVX-512. It is
//
//	c = beta c;  for each block of KC from k = 0: s = 0, s = fma(a, b, s) in order, c = fma(alpha, s, c)
//
// and with float64, or without AVX2, the same with multiplications and additions rounded apart.
func Gemm[T Float](transA, transB bool, m, n, k int, alpha T, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int) {
	gemm(runtime.GOMAXPROCS(0), transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
}

// view is a matrix where it lies, transposed or not: element (i, j) is data[i*rs+j*cs].
type view[T Float] struct {
	data   []T
	rs, cs int
}

// op is the rows by cols matrix that the flag makes of x. It panics if x is too short for it.
func op[T Float](trans bool, rows, cols int, x []T, ld int, short string) view[T] {
	if trans {
		checkMatrix(cols, rows, ld, len(x), short)
		return view[T]{x, 1, ld}
	}
	checkMatrix(rows, cols, ld, len(x), short)
	return view[T]{x, ld, 1}
}

// from is the data from element (i, j) on.
func (v view[T]) from(i, j int) []T { return v.data[i*v.rs+j*v.cs:] }

// panel is op(B) as the tiles read it: element (p, j) is data[(j/sliver)*ss + p*bs + j%sliver].
// It is a packed matrix, or one that is not transposed where it lies (then ss is sliver).
type panel[T Float] struct {
	data   []T
	bs, ss int
}

// from is the panel from column j on, the first of a sliver.
func (b panel[T]) from(j int) panel[T] { return panel[T]{b.data[j/sliver*b.ss:], b.bs, b.ss} }

// product is C += alpha A B, or C = alpha A B where acc is false.
type product[T Float] struct {
	m, n, k int
	alpha   T
	a       view[T]
	b       panel[T]
	loose   view[T] // B if it is yet to be packed, task by task; then b is not set
	acc     bool
	c       []T
	ldc     int
}

func gemm[T Float](procs int, transA, transB bool, m, n, k int, alpha T, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int) {
	if !prepare(m, n, k, alpha, beta, c, ldc) {
		return
	}
	p := product[T]{m: m, n: n, k: k, alpha: alpha, acc: beta != 0, c: c, ldc: ldc,
		a: op(transA, m, k, a, lda, shortA), loose: op(transB, k, n, b, ldb, shortB)}
	if !transB && inPlace(m, ldb) {
		p.b, p.loose = panel[T]{b, ldb, sliver}, view[T]{}
	}
	p.run(procs)
}

// prepare checks C and does what is left of a product without terms. It reports whether there is
// anything to add.
func prepare[T Float](m, n, k int, alpha, beta T, c []T, ldc int) bool {
	if m < 0 || n < 0 || k < 0 {
		panic(badSize)
	}
	checkMatrix(m, n, ldc, len(c), shortC)
	if m == 0 || n == 0 {
		return false
	}
	none := k == 0 || alpha == 0
	if beta == 1 || beta == 0 && !none {
		return !none
	}
	for i := range m {
		row := c[i*ldc : i*ldc+n]
		if beta == 0 {
			clear(row)
			continue
		}
		for j, v := range row {
			row[j] = beta * v
		}
	}
	return !none
}

// checkMatrix panics unless a slice of the given length holds a rows by cols matrix.
func checkMatrix(rows, cols, ld, length int, short string) {
	if ld < cols {
		panic(badSize)
	}
	if rows > 0 && cols > 0 && (rows-1)*ld+cols > length {
		panic(short)
	}
}
