package rewardmodel

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"
)

func score(t testing.TB, s *Scorer, sequences [][]int32) []float64 {
	t.Helper()
	scores, err := s.Score(context.Background(), sequences)
	require.NoError(t, err)
	return scores
}

func sequencesOf(pairs []Pair) (sequences [][]int32) {
	for _, p := range pairs {
		sequences = append(sequences, slices.Concat(p.Prompt, p.Chosen))
	}
	return sequences
}

// A score has the same bits in any company.
func TestScoresDoNotDependOnPacking(t *testing.T) {
	p := tinyModel(t)
	wide, err := NewScorer(p, 256, 32)
	require.NoError(t, err)
	narrow, err := NewScorer(p, 16, 1)
	require.NoError(t, err)
	sequences := sequencesOf(tastes(5, 30))
	want := score(t, wide, sequences)
	assert.Equal(t, want, score(t, narrow, sequences), "one at a time")

	slices.Reverse(sequences)
	slices.Reverse(want)
	assert.Equal(t, want, score(t, wide, sequences), "in reverse order")

	first := slices.Clone(sequences[0])
	assert.NotEqual(t, want[0], score(t, wide, [][]int32{first[:len(first)-1]})[0], "read at the last token")
}

func TestScorerRefuses(t *testing.T) {
	p := tinyModel(t)
	scorer, err := NewScorer(p, 8, 2)
	require.NoError(t, err)
	for want, sequence := range map[string][]int32{
		"sequence 1 has 0 tokens":                                   {},
		"sequence 1 has 17 tokens":                                  make([]int32, 17),
		"sequence 1 has 9 tokens, the budget of a micro-batch is 8": make([]int32, 9),
		"outside of the vocabulary":                                 {1, vocab},
	} {
		_, err := scorer.Score(context.Background(), [][]int32{{1, 2}, sequence})
		assert.ErrorContains(t, err, want)
		assert.ErrorContains(t, err, "rewardmodel: ")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = scorer.Score(ctx, [][]int32{{1, 2}})
	assert.ErrorIs(t, err, context.Canceled)

	p.DropHead()
	_, err = NewScorer(p, 8, 2)
	assert.ErrorContains(t, err, "no scalar head")
}

func TestCenter(t *testing.T) {
	p := tinyModel(t)
	scorer, err := NewScorer(p, 256, 32)
	require.NoError(t, err)
	sequences := sequencesOf(tastes(6, 20))
	before := score(t, scorer, sequences)
	require.NoError(t, Center(p, before))
	after := score(t, scorer, sequences) // the scorer reads the same weights
	mean := 0.0
	for i := range after {
		mean += after[i] / float64(len(after))
		assert.InDelta(t, before[i]-before[0], after[i]-after[0], 1e-6, "differences stay")
	}
	assert.InDelta(t, 0, mean, 1e-6)

	assert.ErrorContains(t, Center(p, nil), "and scores")
	assert.ErrorContains(t, Center(p.As(tensor.Float64), before), "float32")
	p.DropHead()
	assert.ErrorContains(t, Center(p, before), "scalar head")
}
