package blas

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"

	"github.com/tame-rlhf/tame/internal/kern"
)

var _ blas.Float32 = Float32{}

// Float32 is gonum's BLAS with the functions that programs in float32 spend their time in written anew; the package comment lists
// them. All other functions are gonum's, those for other types too, so it can also be given to code that wants those.
type Float32 struct {
	gonum.Implementation
}

// Sgemm computes C = alpha op(A) op(B) + beta C, where op transposes if its flag is Trans or
// ConjTrans, op(A) is m by k, op(B) is k by n and C is m by n, all row-major. It panics as gonum's
// Sgemm does on parameters that do not fit each other. The package comment has the arithmetic.
func (Float32) Sgemm(tA, tB blas.Transpose, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	if checkSgemm(tA, tB, m, n, k, a, lda, b, ldb, c, ldc) {
		kern.Gemm(transposes(tA), transposes(tB), m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
	}
}
