package eval

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDistribute(t *testing.T) {
	d, err := Distribute([][]float64{{0, 1, 2, 3, 4}, {2, 2, 4}}, 4, 1)
	require.NoError(t, err)
	assert.Equal(t, []float64{0, 1, 2, 3, 4}, d.Edges)
	assert.Equal(t, []int{1, 1, 1, 2}, d.Versions[0].Counts) // the last bin has both its edges
	assert.Equal(t, []int{0, 0, 2, 1}, d.Versions[1].Counts)
	assert.Equal(t, ShareOf([]bool{true, false, false, false, false}), d.Versions[0].LowTail) // below, not at
	assert.Equal(t, 0.0, d.Versions[1].LowTail.Mean)
	assert.Equal(t, MeanOf([]float64{2, 2, 4}), d.Versions[1].Mean)
	assert.InDeltaSlice(t, []float64{0.04, 0.2, 1, 2, 3, 3.8, 3.96}, d.Versions[0].Quantiles[:], 1e-12)

	same, err := Distribute([][]float64{{7, 7}}, 3, 0)
	require.NoError(t, err)
	assert.Equal(t, []int{2, 0, 0}, same.Versions[0].Counts)
}

// Every reward is in the bin between whose edges it lies.
func TestHistogramAgainstBruteForce(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		rewards := make([]float64, 1+rng.IntN(200))
		for i := range rewards {
			rewards[i] = math.Round(10*rng.NormFloat64()) / 10
		}
		d, err := Distribute([][]float64{rewards}, 1+rng.IntN(20), 0)
		require.NoError(t, err)
		for b, count := range d.Versions[0].Counts {
			want := 0
			for _, r := range rewards {
				if r >= d.Edges[b] && (r < d.Edges[b+1] || b == len(d.Edges)-2 && r == d.Edges[b+1]) {
					want++
				}
			}
			assert.Equal(t, want, count)
		}
	}
}

// By hand.
func TestQuantile(t *testing.T) {
	assert.Equal(t, 5.0, Quantile([]float64{9, 1, 8, 2, 7, 3, 6, 4, 5}, 0.5))
	assert.InDelta(t, 1.75, Quantile([]float64{4, 1, 2, 3}, 0.25), 1e-12)
	assert.Equal(t, 4.0, Quantile([]float64{4, 1, 2, 3}, 1))
	assert.Equal(t, 3.0, Quantile([]float64{3}, 0.4))
	assert.True(t, math.IsNaN(Quantile(nil, 0.5)))
	assert.True(t, math.IsNaN(Quantile([]float64{1}, 1.5)))
}

func TestDistributeRefuses(t *testing.T) {
	_, err := Distribute(nil, 3, 0)
	assert.ErrorContains(t, err, "eval: distribution: no versions")
	_, err = Distribute([][]float64{{1}, {}}, 3, 0)
	assert.ErrorContains(t, err, "version 1 has no rewards")
	_, err = Distribute([][]float64{{1, math.NaN()}}, 3, 0)
	assert.ErrorContains(t, err, "reward 1 of version 0 is NaN")
	_, err = Distribute([][]float64{{1}}, 0, 0)
	assert.ErrorContains(t, err, "0 bins")
}
