//go:build openblas && cgo

package blas_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	gblas "gonum.org/v1/gonum/blas"

	"github.com/tame-rlhf/tame/pkg/blas"
)

func init() {
	blas.OpenBLAS{}.SetThreads(1) // in tests: threads that look for work delay the rest
	peers[1] = peer{"OpenBLAS", blas.OpenBLAS{}, blas.OpenBLAS{}.SetThreads}
}

func TestOpenBLASConformance(t *testing.T) {
	testConformance(t, blas.OpenBLAS{})
}

// TestOpenBLASAgrees wants OpenBLAS and Float32 to differ by rounding only. In whatever order a sum of k products is taken, it is off by
// at most k roundings of the sum of their absolute values; a few more come from alpha and beta.
func TestOpenBLASAgrees(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	flags := []gblas.Transpose{gblas.NoTrans, gblas.Trans}
	for i := range 200 {
		m, n, k := 1+rng.IntN(70), 1+rng.IntN(70), 1+rng.IntN(600)
		tA, tB := flags[rng.IntN(2)], flags[rng.IntN(2)]
		alpha, beta := normal(rng, 1)[0], []float32{0, 1, -0.7}[rng.IntN(3)]
		lda, ldb, ldc := max(m, k)+rng.IntN(3), max(k, n)+rng.IntN(3), n+rng.IntN(3)
		a, b, c := normal(rng, max(m, k)*lda), normal(rng, max(k, n)*ldb), normal(rng, m*ldc)
		what := fmt.Sprintf("%d: %dx%dx%d %c%c alpha %v beta %v", i, m, n, k, tA, tB, alpha, beta)

		// The sums of absolute values are a product too.
		gemm := func(impl gblas.Float32Level3, alpha, beta float32, a, b, c []float32) []float32 {
			c = append([]float32(nil), c...)
			impl.Sgemm(tA, tB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
			return c
		}
		requireRounding(t, k+5, gemm(blas.Float32{}, abs(alpha), abs(beta), absAll(a), absAll(b), absAll(c)),
			gemm(blas.Float32{}, alpha, beta, a, b, c), gemm(blas.OpenBLAS{}, alpha, beta, a, b, c), "Sgemm "+what)

		incX, incY := []int{1, 2, -3}[rng.IntN(3)], []int{1, 3, -1}[rng.IntN(3)]
		x, y := normal(rng, 3*max(m, k)), normal(rng, 3*max(m, k))
		gemv := func(impl gblas.Float32Level2, alpha, beta float32, a, x, y []float32) []float32 {
			y = append([]float32(nil), y...)
			impl.Sgemv(tA, m, k, alpha, a, lda, x, incX, beta, y, incY)
			return y
		}
		requireRounding(t, max(m, k)+5, gemv(blas.Float32{}, abs(alpha), abs(beta), absAll(a), absAll(x), absAll(y)),
			gemv(blas.Float32{}, alpha, beta, a, x, y), gemv(blas.OpenBLAS{}, alpha, beta, a, x, y), "Sgemv "+what)

		dot := func(impl gblas.Float32Level1, x, y []float32) []float32 {
			return []float32{impl.Sdot(k, x, incX, y, incY)}
		}
		requireRounding(t, k, dot(blas.Float32{}, absAll(x), absAll(y)), dot(blas.Float32{}, x, y), dot(blas.OpenBLAS{}, x, y), "Sdot "+what)
		axpy := func(impl gblas.Float32Level1, alpha float32, x, y []float32) []float32 {
			y = append([]float32(nil), y...)
			impl.Saxpy(k, alpha, x, incX, y, incY)
			return y
		}
		requireRounding(t, 2, axpy(blas.Float32{}, abs(alpha), absAll(x), absAll(y)), axpy(blas.Float32{}, alpha, x, y), axpy(blas.OpenBLAS{}, alpha, x, y), "Saxpy "+what)
	}
}

// requireRounding wants two results of sums to differ by at most that many roundings each of the sums of absolute values.
func requireRounding(t *testing.T, roundings int, sizes, want, got []float32, what string) {
	t.Helper()
	for i := range want {
		require.InDelta(t, want[i], got[i], 2*float64(roundings)*0x1p-24*float64(sizes[i]), "%s: at %d", what, i)
	}
}

func abs(x float32) float32 { return max(x, -x) }

func absAll(x []float32) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = abs(v)
	}
	return y
}
