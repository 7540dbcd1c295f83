package blas_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	gblas "gonum.org/v1/gonum/blas"

	"github.com/tame-rlhf/tame/pkg/blas"
)

// TestPackedBits wants the bits of Sgemm for every number of rows up to 33, in matrices with margins.
func TestPackedBits(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for i := range 10 * 33 {
		m, n, k := 1+i%33, 1+rng.IntN(150), rng.IntN(600)
		tB := []gblas.Transpose{gblas.NoTrans, gblas.Trans, gblas.ConjTrans}[rng.IntN(3)]
		rows, cols := k, n
		if tB != gblas.NoTrans {
			rows, cols = n, k
		}
		lda, ldb, ldc := k+1+rng.IntN(3), cols+1+rng.IntN(3), n+rng.IntN(3)
		beta := []float32{0, 1, -0.5}[rng.IntN(3)]
		a, b, c := normal(rng, m*lda), normal(rng, rows*ldb), normal(rng, m*ldc)
		want, got := append([]float32(nil), c...), append([]float32(nil), c...)
		blas.Float32{}.Sgemm(gblas.NoTrans, tB, m, n, k, 1, a, lda, b, ldb, beta, want, ldc)
		p := blas.Pack(tB, k, n, b, ldb)
		for i := range b {
			b[i] = float32(math.NaN()) // it is a copy
		}
		p.Sgemm(m, a, lda, beta, got, ldc)
		require.Equal(t, want, got, "%dx%dx%d %c, beta %v", m, n, k, tB, beta)
		gotK, gotN := p.Dims()
		require.Equal(t, [2]int{k, n}, [2]int{gotK, gotN})
	}
}

func TestPackedIgnoresC(t *testing.T) {
	c := []float32{float32(math.NaN())}
	blas.Pack(gblas.Trans, 2, 1, []float32{5, 7}, 2).Sgemm(1, []float32{2, 3}, 2, 0, c, 1)
	assert.Equal(t, []float32{31}, c)
}

// TestPackedPanics wants the panics of Sgemm, whichever of the two calls it is that can tell.
func TestPackedPanics(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	flags := []gblas.Transpose{gblas.NoTrans, gblas.Trans, gblas.ConjTrans, 'x'}
	message := func(f func()) (msg any) {
		defer func() { msg = recover() }()
		f()
		return nil
	}
	panics := map[string]int{}
	for range 4000 {
		m, n, k := rng.IntN(9)-1, rng.IntN(9)-1, rng.IntN(9)-1
		lda, ldb, ldc := rng.IntN(12)-1, rng.IntN(12)-1, rng.IntN(12)-1
		tB := flags[rng.IntN(2*len(flags))/2]
		a, b, c := normal(rng, rng.IntN(120)), normal(rng, rng.IntN(120)), normal(rng, rng.IntN(120))
		single := message(func() { blas.Float32{}.Sgemm(gblas.NoTrans, tB, m, n, k, 1, a, lda, b, ldb, 1, c, ldc) })
		packed := message(func() { blas.Pack(tB, k, n, b, ldb).Sgemm(m, a, lda, 1, c, ldc) })
		what := fmt.Sprintf("m %d n %d k %d lda %d ldb %d ldc %d, lengths %d %d %d", m, n, k, lda, ldb, ldc, len(a), len(b), len(c))
		panics[fmt.Sprint(packed)]++
		// Two things wrong: Pack sees B first; and a B too short is wrong however few rows A has.
		if single != packed && packed != "blas: insufficient length of b" {
			require.NotNil(t, single, "%v: %s", packed, what)
			require.Contains(t, []any{"blas: k < 0", "blas: n < 0", "blas: bad leading dimension of B"}, packed, "Sgemm panics with %v: %s", single, what)
		}
		require.False(t, single != nil && packed == nil, "Sgemm panics with %v: %s", single, what)
	}
	assert.Len(t, panics, 11, "ten panics and none: %v", panics)
}

func TestPackedIsShared(t *testing.T) {
	const m, n, k = 3, 40, 50
	rng := rand.New(rand.NewPCG(11, 12))
	a, p := normal(rng, m*k), blas.Pack(gblas.Trans, k, n, normal(rng, n*k), k)
	results := make([][]float32, 8)
	var wg sync.WaitGroup
	for i := range results {
		results[i] = make([]float32, m*n)
		wg.Go(func() { p.Sgemm(m, a, k, 0, results[i], n) })
	}
	wg.Wait()
	for _, c := range results {
		assert.Equal(t, results[0], c)
	}
}
