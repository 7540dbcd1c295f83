package blas

import (
	"gonum.org/v1/gonum/blas"

	"github.com/tame-rlhf/tame/internal/kern"
)

// Sgemv computes y = alpha op(A) x + beta y, where op transposes if tA is Trans or ConjTrans and A is m by n, row-major. With
// beta 0, y is not read; with alpha 0, A and x are not. It panics as gonum's Sgemv does on parameters that do not fit each other.
// The package comment has the arithmetic. y must not overlap A or x.
func (Float32) Sgemv(tA blas.Transpose, m, n int, alpha float32, a []float32, lda int, x []float32, incX int, beta float32, y []float32, incY int) {
	if checkSgemv(tA, m, n, a, lda, x, incX, y, incY) {
		kern.Sgemv(transposes(tA), m, n, alpha, a, lda, x, incX, beta, y, incY)
	}
}

// checkSgemv panics on parameters that do not fit each other and reports whether A has elements.
func checkSgemv(tA blas.Transpose, m, n int, a []float32, lda int, x []float32, incX int, y []float32, incY int) bool {
	lenY, lenX := stored(transposes(tA), m, n)
	return checkMatrix(m, n, a, lda, lenX, x, incX, lenY, y, incY)
}

// Sger computes A += alpha x yᵀ, where A is m by n, row-major; nothing if alpha is 0. It panics as gonum's Sger does on parameters
// that do not fit each other. A must not overlap x or y.
func (Float32) Sger(m, n int, alpha float32, x []float32, incX int, y []float32, incY int, a []float32, lda int) {
	if checkMatrix(m, n, a, lda, m, x, incX, n, y, incY) {
		kern.Sger(m, n, alpha, x, incX, y, incY, a, lda)
	}
}
