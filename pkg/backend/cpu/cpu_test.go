package cpu_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tame-rlhf/tame/pkg/backend"
	"github.com/tame-rlhf/tame/pkg/backend/cpu"
)

func TestRefuses(t *testing.T) {
	vector := [][]int{{3}}
	for want, op := range map[string]backend.Op{
		`backend: cpu has no kernel of "fourier" for float32`:          {Kind: "fourier", DType: backend.Float32},
		`backend: cpu has no kernel of "fourier backward" for float64`: {Kind: backend.Kind("fourier").Derivative(), DType: backend.Float64},
		`backend: cpu has no kernel of "exp" for int32`:                {Kind: backend.Exp, DType: backend.Int32, In: vector, Out: vector},
		`backend: cpu has no kernel of "exp" for dtype 0`:              {Kind: backend.Exp, In: vector, Out: vector},
		`backend: cpu has no kernel of "detach backward" for float32`:  {Kind: backend.Detach.Derivative(), DType: backend.Float32},
		`backend: cpu has no kernel of "last rows" for float32`:        {Kind: backend.LastRows, DType: backend.Float32},
	} {
		_, err := cpu.Backend{}.Kernel(op)
		assert.EqualError(t, err, want)
	}
	for _, op := range []backend.Op{
		{Kind: backend.Scale, DType: backend.Float32, In: vector, Out: vector},
		{Kind: backend.Scale, Attrs: backend.Limits{Lo: 1, Hi: 2}, DType: backend.Float32, In: vector, Out: vector},
		{Kind: backend.RMSNorm, DType: backend.Float32, In: [][]int{{2, 3}, {3}, {3}}, Out: [][]int{{2, 3}}},
		{Kind: backend.Linear, DType: backend.Float32, In: [][]int{{2, 3}}, Out: [][]int{{2, 3}}},
	} {
		_, err := cpu.Backend{}.Kernel(op)
		assert.ErrorContains(t, err, `backend: cpu: "`+string(op.Kind)+`" for float32: `, "attributes or shapes of another kind")
	}
}

// Every kind has a kernel in both float types.
func TestBothFloats(t *testing.T) {
	square := [][]int{{4, 4}, {4, 4}, {4, 4}}
	for _, dt := range []backend.DType{backend.Float32, backend.Float64} {
		for _, k := range []backend.Kind{backend.Embed, backend.Linear, backend.Bias, backend.BiasBackward, backend.SwiGLU, backend.TokenLogProbs, backend.ScalarHead, backend.Gather,
			backend.Exp, backend.Exp.Derivative(), backend.Where, backend.MaskedSum, backend.GradientSum, backend.Copy} {
			run, err := cpu.Backend{}.Kernel(backend.Op{Kind: k, DType: dt, In: square, Out: square})
			assert.NoError(t, err)
			assert.NotNil(t, run)
		}
	}
	_, err := cpu.Backend{}.Kernel(backend.Op{Kind: backend.Copy, DType: backend.Int32})
	assert.NoError(t, err)
}

// The key tells attributes apart, exactly.
func TestKey(t *testing.T) {
	key := func(attrs any) string { return backend.Op{Kind: backend.RMSNorm, Attrs: attrs}.Key() }
	assert.Equal(t, "rmsnorm", key(nil))
	assert.Equal(t, "rmsnorm {1e-05}", key(backend.RMSNormAttrs{Eps: 1e-5}))
	assert.NotEqual(t, key(backend.RMSNormAttrs{Eps: 0.1}), key(backend.RMSNormAttrs{Eps: 0.1 + 0x1p-56}))
}
