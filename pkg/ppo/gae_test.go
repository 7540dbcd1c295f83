package ppo

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
)

// directGAE is the definition (Schulman et al. 2016, equation 16) as it stands, over the counted tokens alone:
// A_t = sum over l of (gamma lambda)^l delta_{t+l}.
func directGAE(rewards, values []float64, counted []bool, gamma, lambda float64) []float64 {
	var at []int
	for t, c := range counted {
		if c {
			at = append(at, t)
		}
	}
	advantages := make([]float64, len(rewards))
	for i := range at {
		for l := 0; i+l < len(at); l++ {
			next := 0.0
			if i+l+1 < len(at) {
				next = values[at[i+l+1]]
			}
			delta := rewards[at[i+l]] + gamma*next - values[at[i+l]]
			advantages[at[i]] += math.Pow(gamma*lambda, float64(l)) * delta
		}
	}
	return advantages
}

func TestGAEAgainstItsDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	for range 200 {
		n := rng.IntN(20)
		rewards, values, counted := make([]float64, n), make([]float64, n), make([]bool, n)
		for i := range n {
			rewards[i], values[i], counted[i] = rng.NormFloat64(), rng.NormFloat64(), rng.Float64() < 0.7
		}
		gamma, lambda := rng.Float64(), rng.Float64()
		advantages, returns := GAE(rewards, values, counted, gamma, lambda)
		assert.InDeltaSlice(t, directGAE(rewards, values, counted, gamma, lambda), advantages, 1e-12)
		for i := range n {
			if counted[i] {
				assert.InDelta(t, advantages[i]+values[i], returns[i], 1e-15)
			} else {
				assert.Zero(t, returns[i])
			}
		}
	}
}

func TestGAEByHand(t *testing.T) {
	// With lambda 1 the return is what is still to come, whatever the values.
	_, returns := GAE([]float64{1, 2, 4}, []float64{9, -3, 5}, nil, 1, 1)
	assert.InDeltaSlice(t, []float64{7, 6, 4}, returns, 1e-12)
	// With lambda 0 the advantage is one step of surprise. After the last token the value is 0.
	advantages, _ := GAE([]float64{1, 2, 4}, []float64{9, -3, 5}, nil, 1, 0)
	assert.InDeltaSlice(t, []float64{1 - 3 - 9, 2 + 5 + 3, 4 - 5}, advantages, 1e-12)
	// A token that does not count is as if it were not there, even if it holds NaN.
	a, r := GAE([]float64{1, math.NaN(), 2}, []float64{9, math.NaN(), -3}, []bool{true, false, true}, 0.5, 0.5)
	b, s := GAE([]float64{1, 2}, []float64{9, -3}, nil, 0.5, 0.5)
	assert.Equal(t, []float64{b[0], 0, b[1]}, a)
	assert.Equal(t, []float64{s[0], 0, s[1]}, r)
}
