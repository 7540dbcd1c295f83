package sft

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/train"
)

// Section 3.1 of the paper.
func TestDefaultConfigIsThePapers(t *testing.T) {
	cfg := DefaultConfig()
	assert.Equal(t, 2e-5, cfg.Optim.LearningRate)
	assert.Equal(t, 0.1, cfg.Optim.WeightDecay)
	assert.Equal(t, 64, cfg.BatchSize)
	assert.Equal(t, 2, cfg.Epochs)
	assert.Equal(t, 4096, cfg.MicroTokens)
	assert.Equal(t, 0.1, cfg.MinLRRatio)
	assert.Zero(t, cfg.WarmupSteps)
}

// With an Eps that is large against the gradient g, AdamW's first step is g times rate / Eps, so clipping to a quarter of the norm
// makes it a quarter as long.
func TestGradientsAreClipped(t *testing.T) {
	examples, before := copies(7, 6), numbers(tinyModel(t))
	step := func(maxGradNorm float64) (length, gradNorm float64) {
		p, _ := oneStep(t, examples, func(c *Config) {
			c.Optim.LearningRate, c.Optim.Eps, c.Optim.WeightDecay, c.Optim.MaxGradNorm = 1e4, 1e5, 0, maxGradNorm
			c.OnStep = func(s train.StepInfo) { gradNorm = s.Metrics["grad_norm"] }
		})
		for i, x := range numbers(p) {
			length += math.Pow(float64(x-before[i]), 2)
		}
		return math.Sqrt(length), gradNorm
	}
	free, norm := step(0)
	assert.InEpsilon(t, 0.1*norm, free, 1e-4)
	clipped, same := step(norm / 4)
	assert.Equal(t, norm, same, "the norm is reported as it is before clipping")
	assert.InEpsilon(t, free/4, clipped, 1e-4)
}

// An example may fill the model's context, and a batch that is not full is a part of an epoch like the others.
func TestLongestExampleAndEpochs(t *testing.T) {
	examples := copies(8, 12)
	for len(examples[0].Tokens) < tinyModel(t).Config().MaxSeqLen {
		examples[0].Tokens, examples[0].Weights = append(examples[0].Tokens, 5), append(examples[0].Weights, 1)
	}
	var epochs []float64
	cfg := tinyConfig()
	cfg.OnStep = func(s train.StepInfo) { epochs = append(epochs, s.Metrics["epoch"]) }
	_, err := Train(context.Background(), tinyModel(t), examples, nil, cfg)
	require.NoError(t, err)
	assert.Equal(t, []float64{0.5, 1, 1.5, 2}, epochs)
}
