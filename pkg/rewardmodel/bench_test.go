package rewardmodel

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
)

// BenchmarkStep is one training step of quickstart's reward model on 32 pairs of sequences of 30 tokens.
func BenchmarkStep(b *testing.B) {
	const pairs, promptLen, answerLen, vocab = 32, 12, 18, 768
	cfg := DefaultConfig()
	cfg.MicroTokens, cfg.MicroSegments = 2048, 128
	rng := rand.New(rand.NewPCG(1, 2))
	p := model.NewParams(model.Config{
		Dim: 128, NumLayers: 4, NumHeads: 4, NumKVHeads: 2, HeadDim: 32, HiddenDim: 352, VocabSize: vocab, MaxSeqLen: 64,
		NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}, tensor.Float32)
	p.Init(rng)
	p.AddHead(rng)
	draw := func(n int) []int32 {
		ids := make([]int32, n)
		for i := range ids {
			ids[i] = 3 + rng.Int32N(vocab-3)
		}
		return ids
	}
	step, err := newStep(p, cfg, 1<<20)
	require.NoError(b, err)
	micro := data.NewRagged(cfg.MicroTokens, cfg.MicroSegments)
	for range pairs {
		pair := Pair{Prompt: draw(promptLen), Chosen: draw(answerLen), Rejected: draw(answerLen), Rating: data.Better}
		require.NoError(b, appendPair(micro, pair, cfg.Margins))
	}
	tokens, _ := micro.Used()
	b.ReportAllocs()
	for b.Loop() {
		_, err := step.Run(b.Context(), []*data.Ragged{micro})
		require.NoError(b, err)
	}
	b.ReportMetric(float64(tokens)*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
}
