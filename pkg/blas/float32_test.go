package blas_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	gblas "gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/blas"
)

var _ tensor.BLAS = blas.Float32{}

func single(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}

// TestSgemmLikeGonum compares with gonum: the same panics, and the same numbers to rounding.
func TestSgemmLikeGonum(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	random := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(rng.NormFloat64())
		}
		return x
	}
	flags := []gblas.Transpose{gblas.NoTrans, gblas.Trans, gblas.ConjTrans, 'x'}
	panics := map[string]int{}
	for range 4000 {
		// Sizes and strides around what fits.
		m, n, k := rng.IntN(9)-1, rng.IntN(9)-1, rng.IntN(9)-1
		lda, ldb, ldc := rng.IntN(12)-1, rng.IntN(12)-1, rng.IntN(12)-1
		tA, tB := flags[rng.IntN(2*len(flags))/2], flags[rng.IntN(2*len(flags))/2]
		a, b, c := random(rng.IntN(120)), random(rng.IntN(120)), random(rng.IntN(120))
		beta := []float32{0, 1, 0.5}[rng.IntN(3)]
		call := func(impl gblas.Float32, c []float32) (msg any) {
			defer func() { msg = recover() }()
			impl.Sgemm(tA, tB, m, n, k, 1.5, a, lda, b, ldb, beta, c, ldc)
			return nil
		}
		want, got := append([]float32(nil), c...), append([]float32(nil), c...)
		wantMsg, gotMsg := call(gonum.Implementation{}, want), call(blas.Float32{}, got)
		require.Equal(t, wantMsg, gotMsg, "%c %c m %d n %d k %d lda %d ldb %d ldc %d, lengths %d %d %d",
			tA, tB, m, n, k, lda, ldb, ldc, len(a), len(b), len(c))
		panics[fmt.Sprint(gotMsg)]++
		require.InDeltaSlice(t, want, got, 2e-5)
	}
	assert.Len(t, panics, 11, "ten panics and none: %v", panics)
}

func TestSgemmIgnoresC(t *testing.T) {
	c := []float32{float32(math.NaN())}
	blas.Float32{}.Sgemm(gblas.NoTrans, gblas.NoTrans, 1, 1, 2, 1, []float32{2, 3}, 2, []float32{5, 7}, 1, 0, c, 1)
	assert.Equal(t, []float32{31}, c)
}

// TestSgemmRowAlone multiplies rows alone and in a batch.
func TestSgemmRowAlone(t *testing.T) {
	const m, n, k = 67, 90, 700
	rng := rand.New(rand.NewPCG(3, 4))
	a, b := make([]float32, m*k), make([]float32, n*k)
	for _, x := range [][]float32{a, b} {
		for i := range x {
			x[i] = float32(rng.NormFloat64())
		}
	}
	var impl blas.Float32
	batch, alone := make([]float32, m*n), make([]float32, m*n)
	impl.Sgemm(gblas.NoTrans, gblas.Trans, m, n, k, 1, a, k, b, k, 0, batch, n)
	for i := range m {
		impl.Sgemm(gblas.NoTrans, gblas.Trans, 1, n, k, 1, a[i*k:], k, b, k, 0, alone[i*n:], n)
	}
	assert.Equal(t, batch, alone)
}
