//go:build openblas && cgo

package blas

// #cgo LDFLAGS: -lopenblas
// #include <cblas.h>
import "C"

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

var _ blas.Float32 = OpenBLAS{}

// OpenBLAS is gonum's BLAS with OpenBLAS's Sgemm, Sgemv, Sdot and Saxpy, by cgo: to compare Float32 with, and for programs that
// want it where they multiply by themselves. It does not keep the arithmetic of this package, so nothing in tame uses it. It is
// there with the build tag openblas and needs cgo and OpenBLAS's library and header (libopenblas-dev).
//
// Its functions panic as Float32's do. They use OpenBLAS's own threads, see SetThreads; GOMAXPROCS does not matter.
type OpenBLAS struct {
	gonum.Implementation
}

// Sgemm is Float32.Sgemm with OpenBLAS.
func (OpenBLAS) Sgemm(tA, tB blas.Transpose, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	if !checkSgemm(tA, tB, m, n, k, a, lda, b, ldb, c, ldc) {
		return
	}
	if k == 0 { // then a and b may have no first element
		a, b = []float32{0}, []float32{0}
	}
	C.cblas_sgemm(C.CblasRowMajor, cTrans(tA), cTrans(tB), C.int(m), C.int(n), C.int(k), C.float(alpha), ptr(a), C.int(lda),
		ptr(b), C.int(ldb), C.float(beta), ptr(c), C.int(ldc))
}

// Sgemv is Float32.Sgemv with OpenBLAS.
func (OpenBLAS) Sgemv(tA blas.Transpose, m, n int, alpha float32, a []float32, lda int, x []float32, incX int, beta float32, y []float32, incY int) {
	if checkSgemv(tA, m, n, a, lda, x, incX, y, incY) {
		C.cblas_sgemv(C.CblasRowMajor, cTrans(tA), C.int(m), C.int(n), C.float(alpha), ptr(a), C.int(lda),
			ptr(x), C.int(incX), C.float(beta), ptr(y), C.int(incY))
	}
}

// Sdot is Float32.Sdot with OpenBLAS.
func (OpenBLAS) Sdot(n int, x []float32, incX int, y []float32, incY int) float32 {
	if !checkVectors(n, x, incX, y, incY) {
		return 0
	}
	return float32(C.cblas_sdot(C.int(n), ptr(x), C.int(incX), ptr(y), C.int(incY)))
}

// Saxpy is Float32.Saxpy with OpenBLAS.
func (OpenBLAS) Saxpy(n int, alpha float32, x []float32, incX int, y []float32, incY int) {
	if checkVectors(n, x, incX, y, incY) {
		C.cblas_saxpy(C.int(n), C.float(alpha), ptr(x), C.int(incX), ptr(y), C.int(incY))
	}
}

// SetThreads sets how many threads OpenBLAS uses, for the whole process.
func (OpenBLAS) SetThreads(n int) { C.openblas_set_num_threads(C.int(n)) }

// ptr is the address of x's first element.
func ptr(x []float32) *C.float { return (*C.float)(&x[0]) }

func cTrans(t blas.Transpose) C.enum_CBLAS_TRANSPOSE {
	if t == blas.NoTrans {
		return C.CblasNoTrans
	}
	return C.CblasTrans
}
