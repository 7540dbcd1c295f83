package ppo

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/losstest"
)

// TestClippedLoss checks gradient, mask and sum over micro-batches, with every term switched on and off.
func TestClippedLoss(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"default":       func(*Config) {},
		"entropy bonus": func(c *Config) { c.EntropyCoef = 0.03 },
		"no value clip": func(c *Config) { c.ValueClip = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := DefaultConfig()
			change(&cfg)
			c := losstest.RandomPPO(rand.New(rand.NewPCG(1, 2)), 5, 8)
			losstest.CheckGrad(t, ClippedLoss(cfg), c)
			losstest.CheckMask(t, ClippedLoss(cfg), c)
			losstest.CheckSplit(t, ClippedLoss(cfg), c)
		})
	}
}

// one is a case with one action for each of the given columns.
func one(columns map[string]float64) losstest.Case {
	c := losstest.Case{Segments: []int32{0, 0}, Token: map[string][]float64{"Mask": {1, 0}}, Wrt: []string{"LogProbs", "Values"}}
	for _, name := range []string{"LogProbs", "OldLogProbs", "Entropy", "Advantages", "Returns", "Values", "OldValues"} {
		c.Token[name] = []float64{columns[name], 0}
	}
	return c
}

func TestClipping(t *testing.T) {
	cfg := DefaultConfig()
	for _, c := range []struct {
		logRatio, advantage float64
		loss, grad          float64 // grad by LogProbs
	}{
		{0, 2, -2, -2},                    // a ratio of 1 is a tie with the clipped one: the gradient flows
		{0, -2, 2, 2},                     //
		{1, 1, -1.2, 0},                   // too likely already, and good: no more
		{1, -1, math.E, math.E},           // too likely, and bad: back
		{-1, 1, -1 / math.E, -1 / math.E}, // too unlikely, and good: back
		{-1, -1, 0.8, 0},                  // too unlikely already, and bad: no less
	} {
		got, err := losstest.Eval(ClippedLoss(cfg), one(map[string]float64{"LogProbs": c.logRatio - 3, "OldLogProbs": -3, "Advantages": c.advantage}))
		require.NoError(t, err)
		assert.InDelta(t, c.loss, got.Loss, 1e-12, "%+v", c)
		assert.InDelta(t, c.grad, got.Grads["LogProbs"][0], 1e-12, "%+v", c)
		ratio := math.Exp(c.logRatio)
		assert.InDelta(t, ratio, got.Metrics["val/ratio"], 1e-12)
		assert.InDelta(t, (ratio-1)*(ratio-1), got.Metrics["val/ratio_var"], 1e-12)
		assert.InDelta(t, c.logRatio*c.logRatio/2, got.Metrics["policy/approxkl_avg"], 1e-12)
	}
	for _, c := range []struct{ value, old, ret, loss, grad float64 }{
		{1, 1, 3, 0.2, -0.2},  // unmoved
		{2, 1, 3, 0.162, 0},   // moved by more than 0.2 towards the return: the clipped error 1.8 counts, no gradient
		{0, 1, 3, 0.45, -0.3}, // moved away: its own error 3 counts
	} {
		got, err := losstest.Eval(ClippedLoss(cfg), one(map[string]float64{"Values": c.value, "OldValues": c.old, "Returns": c.ret}))
		require.NoError(t, err)
		assert.InDelta(t, c.loss, got.Loss, 1e-12, "%+v", c)
		assert.InDelta(t, c.grad, got.Grads["Values"][0], 1e-12, "%+v", c)
	}
}

// TestEntropyBonus has nothing but entropies: the loss is -EntropyCoef times their mean, so more entropy is better.
func TestEntropyBonus(t *testing.T) {
	c := losstest.Case{Segments: []int32{0, 0, 0}, Token: map[string][]float64{"Mask": {1, 1, 0}, "Entropy": {1.75, 0.25, 9}}, Wrt: []string{"Entropy"}}
	for _, name := range []string{"LogProbs", "OldLogProbs", "Advantages", "Returns", "Values", "OldValues"} {
		c.Token[name] = make([]float64, 3)
	}
	for _, coef := range []float64{0.03, 0} {
		cfg := DefaultConfig()
		cfg.EntropyCoef = coef
		got, err := losstest.Eval(ClippedLoss(cfg), c)
		require.NoError(t, err)
		assert.InDelta(t, -coef, got.Loss, 1e-15, "the mean is 1")
		assert.Equal(t, 1.0, got.Metrics["policy/entropy_avg"])
		if coef != 0 {
			assert.InDeltaSlice(t, []float64{-coef / 2, -coef / 2, 0}, got.Grads["Entropy"], 1e-15)
		}
	}
}

// TestRangesAreNotMixedUp has one range of the ratio and another one of the values.
func TestRangesAreNotMixedUp(t *testing.T) {
	cfg := DefaultConfig()
	cfg.ClipRange, cfg.ValueClip = 0.1, 0.3
	for _, c := range []struct{ ratio, value, policyClipped, valueClipped, valueLoss float64 }{
		{1.2, 1.2, 1, 0, 1.8 * 1.8 / 2}, // the value is in its range: its own error counts
		{1.05, 1.5, 0, 1, 1.7 * 1.7 / 2},
	} {
		got, err := losstest.Eval(ClippedLoss(cfg), one(map[string]float64{"LogProbs": math.Log(c.ratio), "Values": c.value, "OldValues": 1, "Returns": 3}))
		require.NoError(t, err)
		assert.Equal(t, c.policyClipped, got.Metrics["policy/clipfrac_avg"])
		assert.Equal(t, c.valueClipped, got.Metrics["val/clipfrac_avg"])
		assert.InDelta(t, c.valueLoss, got.Metrics["loss/value_avg"], 1e-12)
	}
}

// TestHugeRatio wants finite numbers where exp would overflow, in float32 as in training.
func TestHugeRatio(t *testing.T) {
	c := one(map[string]float64{"LogProbs": -1, "OldLogProbs": -500, "Advantages": -1})
	c.Float32 = true
	got, err := losstest.Eval(ClippedLoss(DefaultConfig()), c)
	require.NoError(t, err)
	assert.InEpsilon(t, math.Exp(20), got.Loss, 1e-6)
	assert.Zero(t, got.Grads["LogProbs"][0], "outside of the limit there is no gradient")
}
