package generate

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/backend/cpu"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// TestPaddedVocabulary: ids that the tokenizer does not have are never drawn, however probable, and the rest is a distribution.
func TestPaddedVocabulary(t *testing.T) {
	logits := []float32{1, 2, 0, 50, 40} // ids 3 and 4 are padding
	for _, temperature := range []float64{0, 0.5, 1} {
		for _, topP := range []float64{1, 0.9} {
			cfg := DefaultSampling()
			cfg.Temperature, cfg.TopP, cfg.Vocab = temperature, topP, 3
			short := cfg
			short.Vocab = 0
			for id := range uint64(50) {
				got, lp, err := newSampler(cpu.Backend{}.Float32(), cfg).next(logits, LogitsContext{}, stream(1, id, 0))
				require.NoError(t, err)
				want, wantLP, err := newSampler(cpu.Backend{}.Float32(), short).next(logits[:3], LogitsContext{}, stream(1, id, 0))
				require.NoError(t, err)
				assert.Equal(t, want, got)
				assert.Equal(t, wantLP, lp)
			}
		}
	}
}

// TestVocabEverywhere: Generate, Converse and Stream keep to it, and Sampling.Logits may still name any id.
func TestVocabEverywhere(t *testing.T) {
	p, cfg := tinyModel(t, 3), tinyGenerate(t)
	cfg.Vocab, cfg.Logits, cfg.Stop = 5, BanTokens(12, 3), nil
	check := func(ids []int32) {
		t.Helper()
		require.NotEmpty(t, ids)
		assert.Less(t, slices.Max(ids), int32(5))
		assert.NotContains(t, ids, int32(3))
	}
	answers, err := Generate(t.Context(), p, someRequests(), cfg)
	require.NoError(t, err)
	for _, list := range answers {
		for _, a := range list {
			check(a.Tokens)
		}
	}
	turns, err := Converse(t.Context(), p, someDialogs(3), cfg)
	require.NoError(t, err)
	for _, a := range slices.Concat(turns...) {
		check(a.Tokens)
	}
	s, err := NewStream(p, cfg)
	require.NoError(t, err)
	a, err := s.Answer(t.Context(), TurnRequest{Prompt: []int32{1, 5}}, nil)
	require.NoError(t, err)
	check(a.Tokens)

	cfg.Logits = BanTokens(0, 1, 2, 3, 4)
	_, err = Generate(t.Context(), p, someRequests(), cfg)
	assert.ErrorIs(t, err, errAllBanned)
	cfg.Stop = []int32{5}
	assert.ErrorContains(t, cfg.Validate(), "Stop[0] is 5")
}

// TestFit: all ids that end an answer of the model stop it, and ids that the tokenizer lacks are never drawn.
func TestFit(t *testing.T) {
	p := tinyModel(t, 3)
	require.NoError(t, p.SetEnds(2, 7))
	cfg := tokenizer.DefaultTrainConfig()
	cfg.VocabSize, cfg.ByteFallback, cfg.UserDefined = 5, false, nil
	tok, err := tokenizer.Train(t.Context(), slices.Values([]string{"a a"}), cfg)
	require.NoError(t, err)
	require.Less(t, tok.VocabSize(), p.Config().VocabSize)
	sampling := DefaultSampling()
	sampling.Fit(p, tok)
	assert.Equal(t, []int32{2, 7}, sampling.Stop)
	assert.Equal(t, tok.VocabSize(), sampling.Vocab)
	sampling.Fit(p, nil)
	assert.Equal(t, []int32{2, 7}, sampling.Stop)
	assert.Zero(t, sampling.Vocab)
}
