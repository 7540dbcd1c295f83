package kern

// KC is the length of the blocks in which Gemm sums over k: an element of the product is
// the sum, block after block, of the block's products added up one by one from k = 0.
const KC = 256

// Gemm computes C = alpha op(A) op(B) + beta C, where op(A) is m by k, op(B) is k by n and
// C is m by n, all row-major.
func Gemm[T Float](transA, transB bool, m, n, k int, alpha T, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int) {
	GemmSerial(transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
}

// GemmSerial is Gemm on the calling goroutine only; its results have the same bits.
func GemmSerial[T Float](transA, transB bool, m, n, k int, alpha T, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int) {
	for i := range m {
		for j := range n {
			var old T
			if beta != 0 {
				old = beta * c[i*ldc+j]
			}
			for p0 := 0; p0 < k; p0 += KC {
				var sum T
				for p := p0; p < min(p0+KC, k); p++ {
					var x, y T
					if transA {
						x = a[p*lda+i]
					} else {
						x = a[i*lda+p]
					}
					if transB {
						y = b[j*ldb+p]
					} else {
						y = b[p*ldb+j]
					}
					sum += T(x * y)
				}
				old += T(alpha * sum)
			}
			c[i*ldc+j] = old
		}
	}
}

// Packed is a matrix B of k by n, stored for GemmPacked.
type Packed[T Float] struct {
	k, n int
	data []T
}

// Pack stores op(B), k by n, for GemmPacked.
func Pack[T Float](transB bool, k, n int, b []T, ldb int) *Packed[T] {
	p := &Packed[T]{k: k, n: n, data: make([]T, k*n)}
	for i := range k {
		for j := range n {
			if transB {
				p.data[i*n+j] = b[j*ldb+i]
			} else {
				p.data[i*n+j] = b[i*ldb+j]
			}
		}
	}
	return p
}

// GemmPacked computes C = A B + beta C with the bits of Gemm; A is m by k.
func GemmPacked[T Float](m int, a []T, lda int, b *Packed[T], beta T, c []T, ldc int) {
	GemmSerial(false, false, m, b.n, b.k, 1, a, lda, b.data, b.n, beta, c, ldc)
}
