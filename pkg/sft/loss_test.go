package sft

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/losstest"
)

func TestNLLByHand(t *testing.T) {
	got, err := losstest.Eval(NLL, losstest.Case{
		Segments: []int32{0, 0, 0, 1, 1, -1},
		Token: map[string][]float64{
			"LogProbs": {0, -2, 0, -0.5, 0, 0}, "Entropy": {0, 1, 0, 2, 0, 0},
			"Hits": {0, 1, 0, 0, 0, 0}, "Mask": {0, 1, 0, 1, 0, 0},
		},
		Scalar: map[string]float64{"Tokens": 5}, // of the whole batch: three more in other micro-batches
		Wrt:    []string{"LogProbs", "Entropy"},
	})
	require.NoError(t, err)
	assert.InDelta(t, 2.5/5, got.Loss, 1e-12)
	assert.InDelta(t, 3.0/5, got.Metrics["entropy"], 1e-12)
	assert.InDelta(t, 1.0/5, got.Metrics["mean_token_accuracy"], 1e-12)
	assert.InDeltaSlice(t, []float64{0, -0.2, 0, -0.2, 0, 0}, got.Grads["LogProbs"], 1e-12)
	assert.Equal(t, make([]float64, 6), got.Grads["Entropy"], "entropy is logged, not trained")
}

func TestNLLChecks(t *testing.T) {
	for seed := range uint64(3) {
		c := losstest.RandomSFT(rand.New(rand.NewPCG(seed, 4)), 4, 6)
		losstest.CheckMask(t, NLL, c)
		losstest.CheckSplit(t, NLL, c)
		c.Wrt = []string{"LogProbs"}
		losstest.CheckGrad(t, NLL, c)
	}
}

// A token of weight w counts w times, in a mean over the sum of the weights.
func TestNLLWeights(t *testing.T) {
	got, err := losstest.Eval(NLL, losstest.Case{
		Segments: []int32{0, 0, 0, 0, -1},
		Token: map[string][]float64{
			"LogProbs": {-2, -0.5, -1, 0, 0}, "Entropy": {1, 2, 1, 0, 0}, "Hits": {1, 0, 0, 0, 0}, "Mask": {1, 1, 1, 0, 0},
			"Weights": {3, 1, 0.5, 0, 0},
		},
		Wrt: []string{"LogProbs"},
	})
	require.NoError(t, err)
	assert.InDelta(t, (3*2+0.5+0.5*1)/4.5, got.Loss, 1e-12)
	assert.InDeltaSlice(t, []float64{-3 / 4.5, -1 / 4.5, -0.5 / 4.5, 0, 0}, got.Grads["LogProbs"], 1e-12)
	assert.InDelta(t, 4.0/3, got.Metrics["entropy"], 1e-12, "metrics count tokens")
}
