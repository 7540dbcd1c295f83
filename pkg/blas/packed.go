package blas

import (
	"gonum.org/v1/gonum/blas"

	"github.com/tame-rlhf/tame/internal/kern"
)

// Packed is a matrix B of k by n in the order in which Sgemm reads it, for matrices that many others are multiplied with: the
// weights of a network, above all with few rows of A, where Sgemm spends much of its time on reading B in another order.
//
// It is a copy of B, padded to a multiple of 32 columns: 4 k 32 ⌈n/32⌉ bytes. It never changes, so goroutines may share it.
type Packed struct {
	k, n   int
	packed *kern.Packed[float32]
}

// Pack copies op(B), k by n, where op transposes if tB is Trans or ConjTrans. B is row-major with ldb elements from row to row, as
// in Sgemm. Weights stored [out, in] are packed with Trans, k the inputs and n the outputs. Pack panics as Sgemm does on parameters
// that do not fit each other. It uses up to GOMAXPROCS goroutines.
func Pack(tB blas.Transpose, k, n int, b []float32, ldb int) *Packed {
	rows, cols := stored(transposes(tB), k, n)
	switch {
	case n < 0:
		panic(nLT0)
	case k < 0:
		panic(kLT0)
	case ldb < max(1, cols):
		panic(badLdB)
	case n > 0 && len(b) < (rows-1)*ldb+cols:
		panic(shortB)
	}
	return &Packed{k, n, kern.Pack(transposes(tB), k, n, b, ldb)}
}

// Dims returns the numbers of rows k and columns n of the matrix.
func (p *Packed) Dims() (k, n int) { return p.k, p.n }

// Sgemm computes C = A B + beta C with the bits of Float32.Sgemm, where A is m by k and C is m by n, both row-major and not
// transposed. With beta 0, C is not read. It panics as Float32.Sgemm does on parameters that do not fit each other.
func (p *Packed) Sgemm(m int, a []float32, lda int, beta float32, c []float32, ldc int) {
	switch {
	case m < 0:
		panic(mLT0)
	case lda < max(1, p.k):
		panic(badLdA)
	case ldc < max(1, p.n):
		panic(badLdC)
	case m == 0 || p.n == 0:
		return
	case len(a) < (m-1)*lda+p.k:
		panic(shortA)
	case len(c) < (m-1)*ldc+p.n:
		panic(shortC)
	}
	kern.GemmPacked(m, a, lda, p.packed, beta, c, ldc)
}
