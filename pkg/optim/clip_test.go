package optim_test

import (
	"math"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/optim"
)

func TestGlobalNorm(t *testing.T) {
	norm, err := optim.GlobalNorm(nil, []*tensor.Dense{vec(3, 0), tensor.New(tensor.WithShape(2, 1), tensor.WithBacking([]float32{4, 12}))})
	require.NoError(t, err)
	assert.Equal(t, 13.0, norm) // 9 + 16 + 144 = 169

	norm, err = optim.GlobalNorm(nil, []*tensor.Dense{vec(1, math.NaN())})
	require.NoError(t, err)
	assert.True(t, math.IsNaN(norm))

	_, err = optim.GlobalNorm(nil, []*tensor.Dense{nil})
	assert.ErrorContains(t, err, `gradient "0" is nil`)
}

// Squares of float32 numbers overflow and vanish in float32; the sum is float64.
func TestGlobalNormRange(t *testing.T) {
	x := make([]float32, 200_001) // several blocks and a rest
	for i := range x {
		x[i] = 1e30
	}
	norm, err := optim.GlobalNorm(nil, []*tensor.Dense{tensor.New(tensor.WithShape(len(x)), tensor.WithBacking(x))})
	require.NoError(t, err)
	assert.InEpsilon(t, float64(float32(1e30))*math.Sqrt(200_001), norm, 1e-12)
}

func TestClipScale(t *testing.T) {
	assert.Equal(t, 1.0, optim.ClipScale(0.5, 1))
	assert.InDelta(t, 1/(4+1e-6), optim.ClipScale(4, 1), 1e-16)
	assert.Equal(t, 1.0, optim.ClipScale(1e9, 0), "0 turns clipping off")
	assert.Equal(t, 1.0, optim.ClipScale(0, 1))
	assert.Less(t, optim.ClipScale(1, 1), 1.0, "PyTorch's eps shrinks a gradient that has just the norm")
}

// A step over known parameters allocates nothing: names for errors are made when there is one.
func TestStepAllocatesNothing(t *testing.T) {
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("the race detector makes pools forget")
	}
	for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		zeros := func(shape ...int) *tensor.Dense { return tensor.New(tensor.Of(dt), tensor.WithShape(shape...)) }
		params := []optim.Param{{Name: "a", Value: zeros(300, 300), Decay: true}, {Name: "b", Value: zeros(7)}}
		grads := []*tensor.Dense{zeros(300, 300), zeros(7)}
		opt := optim.DefaultAdamW()
		assert.Zero(t, testing.AllocsPerRun(20, func() {
			norm, err := optim.GlobalNorm(nil, grads)
			require.NoError(t, err)
			require.NoError(t, opt.Step(params, grads, 1e-3, optim.ClipScale(norm, 1)))
		}), dt)
	}
}
