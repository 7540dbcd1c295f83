package optim_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/setting"
)

func TestConfig(t *testing.T) {
	c := optim.DefaultConfig(3e-4)
	assert.NoError(t, c.Validate())
	assert.Equal(t, 3e-4, c.LearningRate)
	assert.Equal(t, 1.0, c.MaxGradNorm)
	assert.Equal(t, optim.DefaultAdamW(), c.AdamW())

	c.WeightDecay, c.MaxGradNorm = 0, 0
	assert.NoError(t, c.Validate(), "no decay and no clipping are settings, not gaps")
	assert.Zero(t, c.AdamW().WeightDecay)

	err := optim.Config{LearningRate: math.Inf(1), Beta1: 1, Beta2: -1, MaxGradNorm: math.NaN()}.Validate()
	for _, want := range []string{"Config.LearningRate is +Inf", "Beta1 is 1", "Beta2 is -1", "Eps is 0", "MaxGradNorm is NaN"} {
		assert.ErrorContains(t, err, want)
	}
	var paths []string
	for _, f := range setting.Fields(err) {
		paths = append(paths, f.Path)
	}
	assert.Equal(t, []string{"LearningRate", "Beta1", "Beta2", "Eps", "MaxGradNorm"}, paths)
}

func TestConfigCosine(t *testing.T) {
	c := optim.DefaultConfig(0.5) // powers of two, so that the product is exact
	assert.Equal(t, optim.Cosine{Peak: 0.5, Min: 0.125, Warmup: 3, Total: 40}, c.Cosine(0.25, 3, 40), "Min is a quarter of the peak")
	assert.Equal(t, 7, c.Cosine(0.25, 9, 7).Warmup, "a short run warms up to its end")
	assert.Zero(t, c.Cosine(0, 3, 40).Min)
}
