package optim_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/golden"
	"github.com/tame-rlhf/tame/pkg/optim"
)

func TestConstant(t *testing.T) {
	c := optim.Constant{Peak: 8, Warmup: 4}
	for step, want := range []float64{2, 4, 6, 8, 8, 8} {
		assert.Equal(t, want, c.LR(step), "step %d", step)
	}
	assert.Equal(t, 8.0, optim.Constant{Peak: 8}.LR(0))
}

func TestCosine(t *testing.T) {
	c := optim.Cosine{Peak: 1, Min: 0.1, Warmup: 2, Total: 6}
	for step, want := range []float64{
		0.5, 1, 1, 0.1 + 0.45*(1+math.Sqrt2/2), 0.55, 0.1 + 0.45*(1-math.Sqrt2/2), 0.1, 0.1,
	} {
		assert.InDelta(t, want, c.LR(step), 1e-15, "step %d", step)
	}
	assert.Equal(t, 0.25, optim.Cosine{Peak: 1, Min: 0.25, Total: 1}.LR(1))
	assert.Equal(t, 1.0, optim.Cosine{Peak: 1, Min: 0.25, Total: 1}.LR(0))
}

func TestCosineGolden(t *testing.T) {
	var file struct {
		AdamW struct {
			Trace []struct {
				Step int     `json:"step"`
				LR   float64 `json:"lr"`
			} `json:"trace"`
		} `json:"adamw"`
	}
	golden.JSON(t, "llama-gqa/golden.json", &file)
	require.Len(t, file.AdamW.Trace, 6)
	c := optim.Cosine{Peak: 1e-3, Min: 1e-4, Warmup: 2, Total: 6}
	for _, s := range file.AdamW.Trace {
		assert.InDelta(t, s.LR, c.LR(s.Step), 1e-15, "step %d", s.Step)
	}
}

func TestScheduleValidate(t *testing.T) {
	assert.NoError(t, optim.Constant{Peak: 1e-6}.Validate())
	assert.NoError(t, optim.Cosine{Peak: 3e-4, Min: 3e-5, Warmup: 2000, Total: 500_000}.Validate())
	err := optim.Constant{Peak: math.NaN(), Warmup: -1}.Validate()
	assert.ErrorContains(t, err, "Constant.Peak is NaN")
	assert.ErrorContains(t, err, "Constant.Warmup is -1")
	err = optim.Cosine{Peak: 1, Min: 2, Warmup: 5, Total: 4}.Validate()
	assert.ErrorContains(t, err, "Cosine.Min is 2")
	assert.ErrorContains(t, err, "Cosine.Total is 4")
}
