package model_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/model"
)

func TestCheckFinite(t *testing.T) {
	p := model.NewParams(model.Config{
		Dim: 8, NumLayers: 1, NumHeads: 2, NumKVHeads: 1, HeadDim: 4, HiddenDim: 8, VocabSize: 12, MaxSeqLen: 16,
		NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}, tensor.Float32)
	assert.NoError(t, p.CheckFinite())
	for _, x := range []float64{math.NaN(), math.Inf(-1)} {
		p.Get("norm").Value.Float32s()[3] = float32(x)
		assert.ErrorContains(t, p.CheckFinite(), "number 3 of weight norm is ")
	}
}
