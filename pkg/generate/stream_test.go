package generate

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every answer has the bits of Generate's to all that was said, greedy and sampled, finished or not.
func TestStreamHasTheBitsOfGenerate(t *testing.T) {
	p, cfg := tinyModel(t, 1), tinyGenerate(t)
	greedy, cut := cfg, cfg
	greedy.Temperature = 0
	cut.MaxNewTokens, cut.TopP = 3, 0.8
	changed := cfg
	changed.Logits = func(at LogitsContext, logits []float32) error { // depends on all of the context
		logits[(len(at.Prompt)+int(at.ID)+len(at.Answer))%len(logits)] += 3
		return nil
	}
	var finished, short, full int
	for _, cfg := range []Sampling{cfg, greedy, cut, changed} {
		s, err := NewStream(p, cfg)
		require.NoError(t, err)
		for _, dialog := range someDialogs(20) {
			s.Reset()
			var said []int32
			for _, turn := range dialog {
				said = slices.Concat(said, turn.Prompt)
				var streamed []int32
				got, err := s.Answer(t.Context(), turn, func(id int32) error {
					streamed = append(streamed, id)
					return nil
				})
				if len(said) >= s.Context() {
					var long *PromptTooLongError
					require.ErrorAs(t, err, &long)
					assert.Equal(t, len(said), long.Length)
					break
				}
				require.NoError(t, err)
				want, err := Generate(t.Context(), p, []Request{{Prompt: said, ID: turn.ID, Samples: 1}}, cfg)
				require.NoError(t, err)
				assert.Equal(t, want[0][0], got)
				assert.Equal(t, got.Tokens, streamed)
				said = slices.Concat(said, got.Tokens)
				assert.Equal(t, len(said), s.Len())
				switch {
				case got.Finished:
					finished++
				case len(said) == s.Context():
					full++
				default:
					short++
				}
			}
		}
	}
	assert.Greater(t, finished, 5)
	assert.Greater(t, full, 0)
	assert.Greater(t, short, 5)
}

// What was said is computed once, and a stopped answer leaves a dialogue that goes on from it.
func TestStreamComputesOnce(t *testing.T) {
	p, cfg := tinyModel(t, 1), tinyGenerate(t)
	cfg.MaxNewTokens, cfg.Stop = 4, nil
	s, err := NewStream(p, cfg)
	require.NoError(t, err)
	scripted := newScripted(t, 1, func(sequence []int32) []float32 {
		logits := make([]float32, p.Config().VocabSize)
		logits[(len(sequence)*5)%len(logits)] = 100
		return logits
	})
	s.dec = scripted
	none := func(int32) error { return nil }
	first, err := s.Answer(t.Context(), TurnRequest{Prompt: []int32{1, 3}, ID: 1}, none)
	require.NoError(t, err)
	assert.Equal(t, []int32{10, 2, 7, 12}, first.Tokens, "5 times the length, modulo 13")
	assert.Equal(t, []int32{1, 3, 10, 2, 7}, scripted.slots[0], "the last token is not needed yet")

	stop := errors.New("stop")
	second, err := s.Answer(t.Context(), TurnRequest{Prompt: []int32{4}, ID: 2}, func(int32) error { return stop })
	assert.ErrorIs(t, err, stop)
	assert.Equal(t, []int32{9}, second.Tokens)
	assert.Equal(t, []int32{1, 3, 10, 2, 7, 12, 4}, scripted.slots[0])
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.Answer(ctx, TurnRequest{Prompt: []int32{6}, ID: 3}, none)
	assert.ErrorIs(t, err, context.Canceled)
	_, err = s.Answer(t.Context(), TurnRequest{Prompt: []int32{7}, ID: 4}, none)
	require.NoError(t, err)
	assert.Equal(t, []int32{1, 3, 10, 2, 7, 12, 4, 9, 6, 7}, scripted.slots[0][:10], "nothing is lost, nothing twice")
	assert.Equal(t, 14, s.Len())
}

// After an error of Sampling.Logits the dialogue goes on with what was said.
func TestStreamAfterAnErrorOfLogits(t *testing.T) {
	p, cfg := tinyModel(t, 1), tinyGenerate(t)
	cfg.Stop = nil
	failing := cfg
	failing.Logits = func(at LogitsContext, _ []float32) error {
		if at.ID == 1 && len(at.Answer) == 1 {
			return errors.New("no")
		}
		return nil
	}
	s, err := NewStream(p, failing)
	require.NoError(t, err)
	first, err := s.Answer(t.Context(), TurnRequest{Prompt: []int32{1, 5}, ID: 1}, nil)
	require.ErrorContains(t, err, "no")
	require.Len(t, first.Tokens, 1)
	got, err := s.Answer(t.Context(), TurnRequest{Prompt: []int32{6, 7}, ID: 2}, nil)
	require.NoError(t, err)
	want, err := Generate(t.Context(), p, []Request{{Prompt: []int32{1, 5, first.Tokens[0], 6, 7}, ID: 2, Samples: 1}}, cfg)
	require.NoError(t, err)
	assert.Equal(t, want[0][0], got)
}

func TestStreamRefuses(t *testing.T) {
	p, cfg := tinyModel(t, 1), tinyGenerate(t)
	bad := cfg
	bad.TopP = 2
	_, err := NewStream(p, bad)
	assert.ErrorContains(t, err, "TopP is 2")
	_, err = NewStream(nil, cfg)
	assert.ErrorContains(t, err, "want float32 weights")
	bad = cfg
	bad.Stop = []int32{99}
	_, err = NewStream(p, bad)
	assert.ErrorContains(t, err, "Sampling.Stop has id 99")
	s, err := NewStream(p, cfg)
	require.NoError(t, err)
	for want, prompt := range map[string][]int32{
		"the prompt is empty": {}, "token 1 of the prompt is 13": {1, 13}, "has 24 tokens, the context leaves room for 23": make([]int32, 24),
	} {
		_, err = s.Answer(t.Context(), TurnRequest{Prompt: prompt}, nil)
		assert.ErrorContains(t, err, want)
		assert.Zero(t, s.Len())
	}
}
