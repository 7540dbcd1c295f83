package rewardmodel

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
)

const benchVocab = 768

// benchModel is quickstart's reward model.
func benchModel(rng *rand.Rand) *model.Params {
	p := model.NewParams(model.Config{
		Dim: 128, NumLayers: 4, NumHeads: 4, NumKVHeads: 2, HeadDim: 32, HiddenDim: 352, VocabSize: benchVocab, MaxSeqLen: 64,
		NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}, tensor.Float32)
	p.Init(rng)
	p.AddHead(rng)
	return p
}

func drawTokens(rng *rand.Rand, n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = 3 + rng.Int32N(benchVocab-3)
	}
	return ids
}

// BenchmarkStep is one training step on 32 pairs of answers of 18 tokens, to prompts of 12.
func BenchmarkStep(b *testing.B) {
	const pairs, promptLen, answerLen = 32, 12, 18
	cfg := DefaultConfig()
	cfg.MicroTokens, cfg.MicroSegments = 2048, 128
	rng := rand.New(rand.NewPCG(1, 2))
	step, err := newStep(benchModel(rng), cfg, 1<<20)
	require.NoError(b, err)
	micro := data.NewRagged(cfg.MicroTokens, cfg.MicroSegments)
	for range pairs {
		pair := data.Pair{Prompt: drawTokens(rng, promptLen), Chosen: drawTokens(rng, answerLen), Rejected: drawTokens(rng, answerLen), Rating: data.Better}
		require.NoError(b, appendPair(micro, pair, cfg.Margins))
	}
	b.ReportAllocs()
	for b.Loop() {
		_, err := step.Run(b.Context(), []*data.Ragged{micro})
		require.NoError(b, err)
	}
	b.ReportMetric(pairs*float64(b.N)/b.Elapsed().Seconds(), "pairs/s")
}

// BenchmarkScore scores 8 answers of 18 tokens to each of 32 prompts of 12, sharing the prompts and not.
func BenchmarkScore(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	scorer, err := NewScorer(benchModel(rng), 2048, 128)
	require.NoError(b, err)
	var answers []data.Answer
	var sequences [][]int32
	for range 32 {
		prompt := drawTokens(rng, 12)
		for range 8 {
			answer := drawTokens(rng, 18)
			answers = append(answers, data.Answer{Prompt: data.TokenPrompt{Tokens: prompt}, Tokens: answer})
			sequences = append(sequences, append(prompt[:12:12], answer...))
		}
	}
	perAnswer := func(b *testing.B, score func() ([]float64, error)) {
		for b.Loop() {
			_, err := score()
			require.NoError(b, err)
		}
		b.ReportMetric(float64(len(answers)*b.N)/b.Elapsed().Seconds(), "answers/s")
	}
	b.Run("answers", func(b *testing.B) {
		perAnswer(b, func() ([]float64, error) { return scorer.ScoreAnswers(b.Context(), answers) })
	})
	b.Run("sequences", func(b *testing.B) {
		perAnswer(b, func() ([]float64, error) { return scorer.Score(b.Context(), sequences) })
	})
}
