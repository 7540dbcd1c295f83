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

// OpenBLAS is gonum's BLAS with OpenBLAS's Sgemm, by cgo: to compare Float32 with, and for programs that
// multiply outside of tame's graph and want it. It does not keep the arithmetic contract of this package, so nothing in tame uses
// it. It is there with the build tag openblas and needs OpenBLAS's library and header (libopenblas-dev).
type OpenBLAS struct {
	gonum.Implementation
}

// Sgemm is Float32.Sgemm with OpenBLAS.
func (OpenBLAS) Sgemm(tA, tB blas.Transpose, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	if !checkSgemm(tA, tB, m, n, k, a, lda, b, ldb, c, ldc) {
		return
	}
	if k == 0 { // then a and b have no first element
		a, b = []float32{0}, []float32{0}
	}
	C.cblas_sgemm(C.CblasRowMajor, cTrans(tA), cTrans(tB), C.int(m), C.int(n), C.int(k), C.float(alpha), (*C.float)(&a[0]), C.int(lda),
		(*C.float)(&b[0]), C.int(ldb), C.float(beta), (*C.float)(&c[0]), C.int(ldc))
}

// SetThreads sets how many threads OpenBLAS uses.
func (OpenBLAS) SetThreads(n int) { C.openblas_set_num_threads(C.int(n)) }

func cTrans(t blas.Transpose) C.enum_CBLAS_TRANSPOSE {
	if t == blas.NoTrans {
		return C.CblasNoTrans
	}
	return C.CblasTrans
}
