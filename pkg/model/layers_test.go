package model_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/ops"
)

// A layer is what its ten operators compute, in the order of section 2.2, and the next one starts from its last node.
func TestLayers(t *testing.T) {
	cfg := model.Config{Dim: 8, NumLayers: 3, NumHeads: 2, NumKVHeads: 1, HeadDim: 4, HiddenDim: 12, VocabSize: 11, MaxSeqLen: 16,
		NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2}
	in := model.NewInputs(tensor.Float32, 16, 2)
	_, err := model.NewTrunk(in, model.NewParams(cfg, tensor.Float32), "other")
	require.NoError(t, err)
	trunk, err := model.NewTrunk(in, model.NewParams(cfg, tensor.Float32), "policy")
	require.NoError(t, err)
	_, err = trunk.LogProbs()
	require.NoError(t, err)
	layers := trunk.Layers()
	require.Len(t, layers, cfg.NumLayers-1)
	for i, layer := range layers {
		var names []string
		for _, n := range layer {
			names = append(names, strings.Fields(n.Op().String())[0])
		}
		assert.Equal(t, []string{"rmsnorm", "linear", "attention", "linear", "add", "rmsnorm", "linear", "swiglu", "linear", "add"}, names)
		assert.Equal(t, ops.Operands(layer[1])[1].Name(), []string{"policy/layers.0.qkv", "policy/layers.1.qkv"}[i])
		if i > 0 {
			assert.Same(t, layers[i-1][9], ops.Operands(layer[0])[0])
			assert.Same(t, layers[i-1][9], ops.Operands(layer[4])[0])
		}
	}
}
