package generate

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/tame-rlhf/tame/pkg/backend/cpu"
)

// chiSquare is the probability of counts at least as far from n*p as these, where p is the true distribution.
func chiSquare(counts []int, p []float64, n int) float64 {
	x, cells := 0.0, 0
	for i, c := range counts {
		if p[i] == 0 {
			continue
		}
		want := p[i] * float64(n)
		x += (float64(c) - want) * (float64(c) - want) / want
		cells++
	}
	return 1 - distuv.ChiSquared{K: float64(cells - 1)}.CDF(x)
}

func TestSamplerDistribution(t *testing.T) {
	p := []float64{0.05, 0.3, 0.02, 0.25, 0.2, 0.1, 0.08} // at temperature 1
	logits := make([]float32, len(p))
	for i := range p {
		logits[i] = float32(math.Log(p[i])) + 3 // a constant changes nothing
	}
	tempered := func(temp float64, keep ...int) []float64 {
		q, sum := make([]float64, len(p)), 0.0
		for i := range p {
			if keep == nil || slices.Contains(keep, i) {
				q[i] = math.Pow(p[i], 1/temp)
				sum += q[i]
			}
		}
		for i := range q {
			q[i] /= sum
		}
		return q
	}
	for name, c := range map[string]struct {
		temperature, topP float64
		topK              int
		want              []float64
	}{
		"plain":           {1, 1, 0, tempered(1)},
		"hot":             {1.7, 1, 0, tempered(1.7)},
		"cold":            {0.5, 1, 0, tempered(0.5)},
		"top-k":           {1, 1, 3, tempered(1, 1, 3, 4)},
		"top-k of all":    {1, 1, 7, tempered(1)},
		"top-p":           {1, 0.6, 0, tempered(1, 1, 3, 4)},         // 0.3 + 0.25 < 0.6 <= 0.75
		"top-p on edge":   {1, 0.549, 0, tempered(1, 1, 3)},          // 0.549 <= 0.55
		"top-p keeps one": {1, 1e-9, 0, tempered(1, 1)},              // never nothing
		"both":            {1, 0.7, 3, tempered(1, 1, 3)},            // (0.3 + 0.25) / 0.75 > 0.7
		"both, hot":       {2, 0.99, 4, tempered(2, 1, 3, 4, 5)},     // 3 of 4 are 0.82
		"top-p, cold":     {0.5, 0.95, 0, tempered(0.5, 1, 3, 4, 5)}, // .433 .301 .192 .048
	} {
		t.Run(name, func(t *testing.T) {
			cfg := DefaultSampling()
			cfg.Temperature, cfg.TopP, cfg.TopK = c.temperature, c.topP, c.topK
			s := newSampler(cpu.Backend{}.Float32(), cfg)
			const n = 20000
			counts := make([]int, len(p))
			for i := range n {
				id, lp, err := s.next(logits, LogitsContext{}, stream(11, uint64(i), 0))
				require.NoError(t, err)
				counts[id]++
				require.InDelta(t, math.Log(c.want[id]), lp, 2e-6)
			}
			for i := range counts {
				if c.want[i] == 0 {
					require.Zero(t, counts[i], "token %d is cut off", i)
				}
			}
			if k := slices.Max(c.want); k < 1 {
				assert.Greater(t, chiSquare(counts, c.want, n), 1e-3)
			}
		})
	}
}

func TestStreams(t *testing.T) {
	seen := map[uint64]bool{}
	for seed := range uint64(4) {
		for id := range uint64(4) {
			for k := range 4 {
				seen[stream(seed, id, k).Uint64()] = true
			}
		}
	}
	assert.Len(t, seen, 64, "every seed, ID and sample has its own stream")
	assert.Equal(t, stream(1, 2, 3).Uint64(), stream(1, 2, 3).Uint64())
}

func TestGreedyTie(t *testing.T) {
	cfg := DefaultSampling()
	cfg.Temperature = 0
	id, lp, err := newSampler(cpu.Backend{}.Float32(), cfg).next([]float32{0, 5, 1, 5}, LogitsContext{}, nil)
	require.NoError(t, err)
	assert.EqualValues(t, 1, id)
	assert.InDelta(t, -math.Log(2+math.Exp(-5)+math.Exp(-4)), lp, 1e-6)
}

// TestCandidates compares the short list of top-p with a sort of everything.
func TestCandidates(t *testing.T) {
	rng := stream(3, 0, 0)
	for range 200 {
		z := make([]float32, 1+rng.IntN(400))
		for i := range z {
			z[i] = float32(3 * rng.NormFloat64())
		}
		topP := rng.Float64()
		s := &sampler{math: cpu.Backend{}.Float32(), temperature: 1, topP: topP, z: z}
		s.cut()

		order := make([]int32, len(z))
		sum := 0.0
		for i := range z {
			order[i] = int32(i)
			sum += math.Exp(float64(z[i]))
		}
		slices.SortFunc(order, func(a, b int32) int { return int(math.Copysign(1, float64(z[b]-z[a]))) })
		n, mass := 0, 0.0
		for n < len(z) && mass < topP {
			mass += math.Exp(float64(z[order[n]])) / sum
			n++
		}
		require.Equal(t, order[:n], s.ids)
	}
}

func TestDivergedModel(t *testing.T) {
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
		_, _, err := newSampler(cpu.Backend{}.Float32(), DefaultSampling()).next([]float32{0, bad, 1}, LogitsContext{}, stream(0, 0, 0))
		assert.ErrorIs(t, err, errNotFinite)
	}
}

// Of equal tokens the lowest ids are kept.
func TestCutKeepsLowestOfEqual(t *testing.T) {
	s := &sampler{math: cpu.Backend{}.Float32(), temperature: 1, topP: 1, topK: 3, z: []float32{1, 2, 1, 1, 2, 1}}
	s.cut()
	assert.Equal(t, []int32{1, 4, 0}, s.ids)
	s = &sampler{math: cpu.Backend{}.Float32(), temperature: 1, topP: 0.3, z: []float32{0, 0, 0, 0, 0}}
	s.cut()
	assert.Equal(t, []int32{0, 1}, s.ids, "one fifth is less than 0.3, two are more")
}
