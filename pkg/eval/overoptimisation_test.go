package eval

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// noisy are versions whose rewards have these means, with a noise that the prompt gives and one of the answer's own.
func noisy(rng *rand.Rand, prompts int, optimised, general []float64) []VersionRewards {
	versions := make([]VersionRewards, len(optimised))
	for range prompts {
		prompt := 3 * rng.NormFloat64()
		for v := range versions {
			versions[v].Optimised = append(versions[v].Optimised, optimised[v]+prompt+rng.NormFloat64())
			versions[v].General = append(versions[v].General, general[v]+prompt+rng.NormFloat64())
		}
	}
	return versions
}

func TestOverOptimisation(t *testing.T) {
	up := []float64{0, 1, 2, 3, 4}
	for _, c := range []struct {
		name    string
		general []float64
		from    int
		against int // of the last version
	}{
		{"both rise", []float64{0, 1, 2, 3, 4}, -1, -1},
		{"the general one stays", []float64{0, 2, 2, 2, 2}, -1, -1},
		{"it falls from version 3 on", []float64{0, 1, 2, 1, 0.5}, 3, 2},
		{"it falls at once", []float64{4, 3, 2, 1, 0}, 1, 0},
		{"it recovers", []float64{0, 2, 1, 2, 3}, -1, -1},
		{"it falls by little from version to version", []float64{1, 0.8, 0.5, 0.3, 0.1}, 2, 0},
	} {
		curves, from, err := OverOptimisation(noisy(rand.New(rand.NewPCG(7, 1)), 200, up, c.general))
		require.NoError(t, err)
		assert.Equal(t, c.from, from, c.name)
		assert.Equal(t, c.against, curves[4].Against, c.name)
		if c.against >= 0 {
			assert.InDelta(t, c.general[4]-c.general[c.against], curves[4].GeneralGain.Mean, 0.4)
			assert.InDelta(t, up[4]-up[c.against], curves[4].OptimisedGain.Mean, 0.4)
			assert.Negative(t, curves[4].GeneralGain.Hi)
		}
	}
	// The optimised reward has to rise for it.
	_, from, err := OverOptimisation(noisy(rand.New(rand.NewPCG(7, 1)), 200, []float64{0, 0, 0, 0, 0}, []float64{4, 3, 2, 1, 0}))
	require.NoError(t, err)
	assert.Equal(t, -1, from)
}

// By hand: two versions, differences 1, 2, 3 and -1, -2, -3: mean 2, standard error 1/sqrt 3, and one comparison at 95 %.
func TestOverOptimisationByHand(t *testing.T) {
	versions := []VersionRewards{{[]float64{5, 0, 1}, []float64{0, 3, 9}}, {[]float64{6, 2, 4}, []float64{-1, 1, 6}}}
	curves, from, err := OverOptimisation(versions)
	require.NoError(t, err)
	assert.Equal(t, 1, from)
	assert.Equal(t, 2.0, curves[0].Optimised.Mean)
	assert.InDelta(t, -2, curves[1].GeneralGain.Mean, 1e-12)
	assert.InDelta(t, -2+1.959964/math.Sqrt(3), curves[1].GeneralGain.Hi, 1e-6)
	assert.InDelta(t, 2-1.959964/math.Sqrt(3), curves[1].OptimisedGain.Lo, 1e-6)

	// Three versions are three comparisons: the 1 - 0.05/6 quantile of the normal distribution is 2.39398.
	curves, _, err = OverOptimisation(append(versions, versions[1]))
	require.NoError(t, err)
	assert.InDelta(t, -2+2.39398/math.Sqrt(3), curves[1].GeneralGain.Hi, 1e-5)
}

// Without a fall of the general reward there is hardly ever a notice.
func TestOverOptimisationFalseAlarms(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	const rounds = 1000
	alarms := 0
	for range rounds {
		_, from, err := OverOptimisation(noisy(rng, 50, []float64{0, 1, 2, 3, 4}, make([]float64, 5)))
		require.NoError(t, err)
		if from >= 0 {
			alarms++
		}
	}
	assert.LessOrEqual(t, float64(alarms)/rounds, 0.025)
}

func TestOverOptimisationRefuses(t *testing.T) {
	_, _, err := OverOptimisation(nil)
	assert.ErrorContains(t, err, "eval: over-optimisation: no versions")
	_, _, err = OverOptimisation([]VersionRewards{{[]float64{1}, []float64{1}}})
	assert.ErrorContains(t, err, "1 prompts")
	_, _, err = OverOptimisation([]VersionRewards{{[]float64{1, 2}, []float64{1, 2}}, {[]float64{1, 2}, []float64{1}}})
	assert.ErrorContains(t, err, "version 1 has 2 optimised and 1 general")
	_, _, err = OverOptimisation([]VersionRewards{{[]float64{1, 2}, []float64{1, math.NaN()}}})
	assert.ErrorContains(t, err, "prompt 1 of version 0 is NaN")
	curves, from, err := OverOptimisation([]VersionRewards{{[]float64{1, 2}, []float64{1, 2}}})
	require.NoError(t, err)
	assert.Len(t, curves, 1)
	assert.Equal(t, -1, from)
}
