package sft

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/optim"
)

const vocab = 12

// tinyModel draws a Llama of width 16.
func tinyModel(t testing.TB) *model.Params {
	t.Helper()
	cfg := model.Config{
		Dim: 16, NumLayers: 1, NumHeads: 2, NumKVHeads: 1, HeadDim: 8, HiddenDim: 24, VocabSize: vocab, MaxSeqLen: 16,
		NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}
	require.NoError(t, cfg.Validate())
	p := model.NewParams(cfg, tensor.Float32)
	p.Init(rand.New(rand.NewPCG(1, 9)))
	return p
}

func tinyConfig() Config {
	cfg := DefaultConfig()
	cfg.Optim = optim.DefaultConfig(1e-2)
	cfg.BatchSize = 8
	cfg.MicroTokens, cfg.MicroSegments = 128, 16
	return cfg
}

// copies draws examples "BOS a b 3 a b EOS": a prompt, a separator, and the prompt again, which counts.
func copies(seed uint64, count int) []data.Example {
	rng := rand.New(rand.NewPCG(seed, 3))
	examples := make([]data.Example, count)
	for i := range examples {
		var word []int32
		for range 1 + rng.IntN(3) {
			word = append(word, 4+rng.Int32N(vocab-4))
		}
		e := data.Example{Tokens: append(append([]int32{1}, word...), 3)}
		e.Weights = make([]float32, len(e.Tokens))
		for _, id := range append(word, 2) {
			e.Tokens, e.Weights = append(e.Tokens, id), append(e.Weights, 1)
		}
		examples[i] = e
	}
	return examples
}

// nll is the sum of -log p over the counted tokens of an example, by the decoder and plain float64, and their number.
func nll(t testing.TB, p *model.Params, e data.Example) (sum float64, counted int) {
	t.Helper()
	for i := 1; i < len(e.Tokens); i++ {
		if e.Weights[i] == 0 {
			continue
		}
		dec, err := model.NewDecoder(p, 1, len(e.Tokens))
		require.NoError(t, err)
		logits, err := dec.Forward([]model.Chunk{{Tokens: e.Tokens[:i]}})
		require.NoError(t, err)
		total := 0.0
		for _, z := range logits[0] {
			total += math.Exp(float64(z))
		}
		sum += math.Log(total) - float64(logits[0][e.Tokens[i]])
		counted++
	}
	return sum, counted
}

// numbers copies all weights, in order.
func numbers(p *model.Params) []float32 {
	var all []float32
	for _, q := range p.All() {
		all = append(all, q.Value.Float32s()...)
	}
	return all
}
