package blas

import "gonum.org/v1/gonum/blas"

// The panics of gonum's parameter checks, word for word.
const (
	zeroIncX     = "blas: zero x index increment"
	zeroIncY     = "blas: zero y index increment"
	mLT0         = "blas: m < 0"
	nLT0         = "blas: n < 0"
	kLT0         = "blas: k < 0"
	badTranspose = "blas: illegal transpose"
	badLdA       = "blas: bad leading dimension of A"
	badLdB       = "blas: bad leading dimension of B"
	badLdC       = "blas: bad leading dimension of C"
	shortX       = "blas: insufficient length of x"
	shortY       = "blas: insufficient length of y"
	shortA       = "blas: insufficient length of a"
	shortB       = "blas: insufficient length of b"
	shortC       = "blas: insufficient length of c"
)

// checkVector panics unless x can be a vector of n elements; it reports whether there are any. A negative increment is not a
// panic but no vector.
func checkVector(n int, x []float32, incX int) bool {
	switch {
	case incX == 0:
		panic(zeroIncX)
	case incX < 0:
		return false
	case n < 0:
		panic(nLT0)
	case n > 0 && len(x) <= (n-1)*incX:
		panic(shortX)
	}
	return n > 0
}

// checkVectors panics unless x and y can be vectors of n elements; it reports whether there are any.
func checkVectors(n int, x []float32, incX int, y []float32, incY int) bool {
	switch {
	case incX == 0:
		panic(zeroIncX)
	case incY == 0:
		panic(zeroIncY)
	case n < 0:
		panic(nLT0)
	case n == 0:
		return false
	case !holds(n, x, incX):
		panic(shortX)
	case !holds(n, y, incY):
		panic(shortY)
	}
	return true
}

// checkMatrix panics unless A can be m by n, and x and y can be vectors of that many elements; it reports whether A has elements.
func checkMatrix(m, n int, a []float32, lda, lenX int, x []float32, incX, lenY int, y []float32, incY int) bool {
	switch {
	case m < 0:
		panic(mLT0)
	case n < 0:
		panic(nLT0)
	case lda < max(1, n):
		panic(badLdA)
	case incX == 0:
		panic(zeroIncX)
	case incY == 0:
		panic(zeroIncY)
	case m == 0 || n == 0:
		return false
	case !holds(lenX, x, incX):
		panic(shortX)
	case !holds(lenY, y, incY):
		panic(shortY)
	case len(a) < lda*(m-1)+n:
		panic(shortA)
	}
	return true
}

// holds reports whether x has room for n > 0 elements inc apart.
func holds(n int, x []float32, inc int) bool { return len(x) > (n-1)*max(inc, -inc) }

// start is the place of the first of n elements inc apart.
func start(n, inc int) int {
	if inc < 0 {
		return (1 - n) * inc
	}
	return 0
}

// checkSgemm panics on parameters that do not fit each other and reports whether C has elements.
func checkSgemm(tA, tB blas.Transpose, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int) bool {
	transA, transB := transposes(tA), transposes(tB)
	switch {
	case m < 0:
		panic(mLT0)
	case n < 0:
		panic(nLT0)
	case k < 0:
		panic(kLT0)
	}
	rowsA, colsA := stored(transA, m, k)
	rowsB, colsB := stored(transB, k, n)
	switch {
	case lda < max(1, colsA):
		panic(badLdA)
	case ldb < max(1, colsB):
		panic(badLdB)
	case ldc < max(1, n):
		panic(badLdC)
	}
	if m == 0 || n == 0 {
		return false
	}
	switch {
	case len(a) < (rowsA-1)*lda+colsA:
		panic(shortA)
	case len(b) < (rowsB-1)*ldb+colsB:
		panic(shortB)
	case len(c) < (m-1)*ldc+n:
		panic(shortC)
	}
	return true
}

// stored is how the matrix lies in memory that is rows by cols, or the transpose of what lies there.
func stored(trans bool, rows, cols int) (int, int) {
	if trans {
		return cols, rows
	}
	return rows, cols
}

func transposes(t blas.Transpose) bool {
	switch t {
	case blas.NoTrans:
		return false
	case blas.Trans, blas.ConjTrans:
		return true
	}
	panic(badTranspose)
}
