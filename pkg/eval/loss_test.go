package eval

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
)

// unigram is a model whose next token does not depend on what came before: embeddings and the final
// norm give the state (1, 1), and token v has the logit Σ of row v of the output matrix.
func unigram(logits ...float32) *model.Params {
	p := model.NewParams(model.Config{
		Dim: 2, NumLayers: 1, NumHeads: 1, NumKVHeads: 1, HeadDim: 2, HiddenDim: 2, VocabSize: len(logits),
		MaxSeqLen: 8, NormEps: 1e-12, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}, tensor.Float32)
	fill := func(name string, x float32) {
		for i := range p.Get(name).Value.Float32s() {
			p.Get(name).Value.Float32s()[i] = x
		}
	}
	fill("embed", 1)
	for _, name := range []string{"layers.0.attn_norm", "layers.0.ffn_norm", "norm"} {
		fill(name, 1)
	}
	for _, name := range []string{"layers.0.qkv", "layers.0.attn_out", "layers.0.gate_up", "layers.0.down"} {
		fill(name, 0)
	}
	for v, z := range logits {
		p.Output().Value.Float32s()[2*v], p.Output().Value.Float32s()[2*v+1] = z, 0
	}
	return p
}

// Probabilities 1/2, 1/4, 1/8, 1/8: a token costs log 2, 2 log 2 or 3 log 2.
func TestLossByHand(t *testing.T) {
	ln2 := float32(math.Ln2)
	p := unigram(0, -ln2, -2*ln2, -2*ln2)
	examples := []data.Example{
		{Tokens: []int32{1, 0, 0, 3}, Weights: []float32{1, 1, 1, 1}}, // 1 + 1 + 3; the first is not predicted
		{Tokens: []int32{1, 2, 1}, Weights: []float32{0, 0, 0.5}},     // 2: all weights but 0 count alike
		{Tokens: []int32{1, 2, 0, 0}, Weights: []float32{0, 0, 0, 1}}, // 1
		{Tokens: []int32{1, 2, 3, 1, 2}, Weights: make([]float32, 5)}, // nothing
	}
	for _, budget := range [][2]int{{64, 8}, {5, 1}} {
		loss, err := LossOn(t.Context(), p, examples, budget[0], budget[1])
		require.NoError(t, err)
		assert.Equal(t, 5, loss.Tokens)
		assert.Equal(t, 3, loss.Hits, "token 0 three times")
		assert.InDelta(t, 8*math.Ln2, loss.NLL, 1e-5)
		assert.InDelta(t, 8*math.Ln2/5, loss.Mean(), 1e-5)
		assert.InDelta(t, math.Pow(2, 1.6), loss.Perplexity(), 1e-5)
		assert.InDelta(t, 0.6, loss.Accuracy(), 1e-12)
	}
	none, err := LossOn(t.Context(), p, nil, 8, 1)
	require.NoError(t, err)
	assert.True(t, math.IsNaN(none.Mean()))
}

func TestLossRefuses(t *testing.T) {
	p := unigram(0, 0, 0)
	_, err := LossOn(t.Context(), p, []data.Example{{Tokens: make([]int32, 6), Weights: make([]float32, 6)}}, 5, 1)
	assert.ErrorIs(t, err, data.ErrTooLong)
	_, err = LossOn(t.Context(), p, []data.Example{{Tokens: []int32{1, 7}, Weights: make([]float32, 2)}}, 5, 1)
	assert.ErrorContains(t, err, "eval: ")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = LossOn(ctx, p, []data.Example{{Tokens: []int32{1, 2}, Weights: make([]float32, 2)}}, 5, 1)
	assert.ErrorIs(t, err, context.Canceled)
}

func TestWindows(t *testing.T) {
	assert.Equal(t, []data.Example{
		{Tokens: []int32{1, 5, 6}, Weights: []float32{0, 1, 1}},
		{Tokens: []int32{6, 7, 2}, Weights: []float32{0, 1, 1}},
		{Tokens: []int32{1, 2}, Weights: []float32{0, 1}},
		{Tokens: []int32{1, 5, 6}, Weights: []float32{0, 1, 1}},
		{Tokens: []int32{6, 2}, Weights: []float32{0, 1}},
	}, Windows([][]int32{{1, 5, 6, 7, 2}, {1, 2}, {1}, {}, {1, 5, 6, 2}}, 3), "every token but a document's first counts once")
}
