package model

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"
)

func TestParamsOrderAndShapes(t *testing.T) {
	c := tiny()
	c.NumLayers = 1
	p := NewParams(c, tensor.Float32)
	p.AddHead(nil)
	want := []struct {
		name  string
		shape []int
	}{
		{"embed", []int{31, 24}},
		{"layers.0.attn_norm", []int{24}}, {"layers.0.qkv", []int{(4 + 2*2) * 6, 24}}, {"layers.0.attn_out", []int{24, 24}},
		{"layers.0.ffn_norm", []int{24}}, {"layers.0.gate_up", []int{40, 24}}, {"layers.0.down", []int{24, 20}},
		{"norm", []int{24}}, {"output", []int{31, 24}}, {"score.weight", []int{1, 24}}, {"score.bias", []int{1}},
	}
	require.Len(t, p.All(), len(want))
	total := int64(0)
	for i, w := range want {
		q := p.All()[i]
		assert.Equal(t, w.name, q.Name)
		assert.True(t, q.Value.Shape().Eq(w.shape), w.name)
		assert.Equal(t, len(w.shape) == 2, q.Decay, w.name)
		assert.Same(t, q, p.Get(w.name))
		total += int64(q.Value.Shape().TotalSize())
	}
	assert.Equal(t, total, p.NumParams())
	assert.Equal(t, total-25, c.NumParams())
	assert.Equal(t, "output", p.Output().Name)

	p.DropOutput()
	p.DropHead()
	assert.Nil(t, p.Output())
	assert.False(t, p.HasHead())
	assert.Len(t, p.All(), len(want)-3)

	c.TieEmbeddings = true
	tied := NewParams(c, tensor.Float64)
	assert.Nil(t, tied.Get("output"))
	tied.DropOutput()
	assert.Equal(t, "embed", tied.Output().Name)
	assert.Equal(t, tied.NumParams(), c.NumParams())
}

func TestParamsInit(t *testing.T) {
	c := tiny()
	c.Dim, c.HiddenDim, c.VocabSize, c.NumLayers = 96, 200, 300, 8
	p := NewParams(c, tensor.Float32)
	p.AddHead(nil)
	p.Init(rand.New(rand.NewPCG(1, 2)))
	std := func(name string) float64 {
		sum := 0.0
		x := floats[float32](p.Get(name).Value)
		for _, v := range x {
			sum += float64(v) * float64(v)
		}
		return math.Sqrt(sum / float64(len(x)))
	}
	for name, want := range map[string]float64{
		"embed": 0.02, "output": 0.02, "layers.3.qkv": 0.02, "layers.3.gate_up": 0.02,
		"layers.3.attn_out": 0.005, "layers.3.down": 0.005, // 0.02 / sqrt(2*8)
		"norm": 1, "layers.0.attn_norm": 1, "layers.7.ffn_norm": 1, "score.bias": 0,
	} {
		assert.InEpsilon(t, 1+want, 1+std(name), 0.001, name)
	}
	assert.InEpsilon(t, 1/math.Sqrt(97), std("score.weight"), 0.25)

	again := NewParams(c, tensor.Float32)
	again.AddHead(nil)
	again.Init(rand.New(rand.NewPCG(1, 2)))
	assertSame(t, p, again)
	p.AddHead(nil)
	assert.Zero(t, std("score.weight"))
	assert.Len(t, p.All(), len(again.All()), "a head is added once")
}

func TestParamsCopies(t *testing.T) {
	p := randomParams(tiny(), tensor.Float32, 41)
	c := p.Clone()
	assertSame(t, p, c)
	floats[float32](c.Get("norm").Value)[0] = 99
	assert.NotEqual(t, float32(99), floats[float32](p.Get("norm").Value)[0])
	wide := p.As(tensor.Float64)
	assert.Equal(t, tensor.Float64, wide.DType())
	assert.Equal(t, widen(floats[float32](p.Get("embed").Value)), floats[float64](wide.Get("embed").Value))
	assertSame(t, p, wide.As(tensor.Float32))
}

// Whatever takes Params refuses those of a bad config with the reason, and nothing panics.
func TestParamsOfBadConfig(t *testing.T) {
	c := tiny()
	c.HeadDim = 7
	p := NewParams(c, tensor.Float32)
	p.Init(rand.New(rand.NewPCG(1, 1)))
	p.AddHead(nil)
	assert.Empty(t, p.All())
	_, err := NewTrunk(NewInputs(tensor.Float32, 8, 2), p, "x")
	assert.ErrorContains(t, err, "HeadDim is 7")
	_, err = NewTrunk(NewInputs(tensor.Float32, 8, 2), NewParams(tiny(), tensor.Int), "x")
	assert.ErrorContains(t, err, "dtype is int")
	assert.Empty(t, p.As(tensor.Float64).All())
}
