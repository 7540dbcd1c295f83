package kern

import "testing"

// Levels are the instruction sets this machine has, portable Go first.
func Levels() []string { return levelNames[:simd+1] }

var levelNames = []string{"portable", "avx2", "avx512"}

// SetLevel uses the named instruction set until the test ends.
func SetLevel(tb testing.TB, name string) {
	old := simd
	tb.Cleanup(func() { simd = old })
	for i, s := range levelNames {
		if s == name {
			simd = level(i)
		}
	}
}

// GemmSerial is Gemm on the calling goroutine only.
func GemmSerial[T Float](transA, transB bool, m, n, k int, alpha T, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int) {
	gemm(1, transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
}

// RoPEBackward turns the heads of one token back, in place, as AttentionBackward does with the gradients of queries and keys.
func RoPEBackward[T Float](dx []T, heads, d int, row []T) {
	for h := range heads {
		rotate(dx[h*d:(h+1)*d], dx[h*d:(h+1)*d], row, true)
	}
}

// Scale sets dst *= alpha, as Temper does.
func Scale[T Float](dst []T, alpha T) { scale(dst, alpha) }
