package blas

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"

	"github.com/tame-rlhf/tame/internal/kern"
)

var _ blas.Float32 = Float32{}

// Float32 is gonum's BLAS with a Sgemm of its own. All other functions are gonum's, those for other
// types too, so it can also be given to code that wants those.
type Float32 struct {
	gonum.Implementation
}

// The panics of gonum's parameter checks, word for word.
const (
	mLT0         = "blas: m < 0"
	nLT0         = "blas: n < 0"
	kLT0         = "blas: k < 0"
	badTranspose = "blas: illegal transpose"
	badLdA       = "blas: bad leading dimension of A"
	badLdB       = "blas: bad leading dimension of B"
	badLdC       = "blas: bad leading dimension of C"
	shortA       = "blas: insufficient length of a"
	shortB       = "blas: insufficient length of b"
	shortC       = "blas: insufficient length of c"
)

// Sgemm computes C = alpha op(A) op(B) + beta C, where op transposes if its flag is Trans or
// ConjTrans, op(A) is m by k, op(B) is k by n and C is m by n, all row-major. It panics as gonum's
// Sgemm does on parameters that do not fit each other. The package comment has the arithmetic.
func (Float32) Sgemm(tA, tB blas.Transpose, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	if checkSgemm(tA, tB, m, n, k, a, lda, b, ldb, c, ldc) {
		kern.Gemm(transposes(tA), transposes(tB), m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
	}
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
	rowsA, colsA := m, k
	if transA {
		rowsA, colsA = k, m
	}
	rowsB, colsB := k, n
	if transB {
		rowsB, colsB = n, k
	}
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

func transposes(t blas.Transpose) bool {
	switch t {
	case blas.NoTrans:
		return false
	case blas.Trans, blas.ConjTrans:
		return true
	}
	panic(badTranspose)
}
