package main

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/losstest"
	"github.com/tame-rlhf/tame/pkg/ppo"
)

// The three checks that any loss should pass. No model is needed.
func TestSoftClipChecks(t *testing.T) {
	for seed := range uint64(3) {
		c := losstest.RandomPPO(rand.New(rand.NewPCG(seed, 1)), 4, 8)
		loss := softClip(0.2, 0.01)
		losstest.CheckGrad(t, loss, c)  // symbolic against central differences
		losstest.CheckMask(t, loss, c)  // NaN behind the mask changes nothing
		losstest.CheckSplit(t, loss, c) // micro-batches add up to the batch
	}
}

// One counted token, by hand.
func TestSoftClipByHand(t *testing.T) {
	soft := func(r float64) float64 { return 1 + 0.2*math.Tanh((r-1)/0.2) }
	for _, c := range []struct{ ratio, advantage, objective float64 }{
		{1, 2, 2},
		{1.5, 2, 2 * soft(1.5)}, // a good token that became likelier: held back
		{0.5, 2, 2 * 0.5},       // a good token that became unlikelier: not held back
		{1.5, -2, -2 * 1.5},     // a bad token that became likelier: not held back
		{0.5, -2, -2 * soft(0.5)},
	} {
		got, err := losstest.Eval(softClip(0.2, 0.5), losstest.Case{
			Segments: []int32{0, 0},
			Token: map[string][]float64{
				"LogProbs": {math.Log(c.ratio) - 1, 0}, "OldLogProbs": {-1, 0}, "Advantages": {c.advantage, 0}, "Mask": {1, 0},
				"Values": {0.5, 0}, "Returns": {2.5, 0}, "Entropy": {0.75, 0},
			},
		})
		require.NoError(t, err)
		assert.InDelta(t, -c.objective+0.05*4-0.5*0.75, got.Loss, 1e-12, "ratio %v, advantage %v", c.ratio, c.advantage)
		assert.InDelta(t, math.Abs(c.ratio-soft(c.ratio)), got.Metrics["policy/softness"], 1e-12)
	}
}

// On fresh answers, where every ratio is 1, it pulls just as PPO does.
func TestSoftClipStartsAsPPO(t *testing.T) {
	c := losstest.RandomPPO(rand.New(rand.NewPCG(7, 1)), 4, 8)
	c.Token["LogProbs"] = c.Token["OldLogProbs"]
	c.Wrt = []string{"LogProbs"}
	want, err := losstest.Eval(ppo.ClippedLoss(ppo.DefaultConfig()), c)
	require.NoError(t, err)
	got, err := losstest.Eval(softClip(0.2, 0), c)
	require.NoError(t, err)
	assert.InDeltaSlice(t, want.Grads["LogProbs"], got.Grads["LogProbs"], 1e-12)
}
