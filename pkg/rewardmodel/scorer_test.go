package rewardmodel

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
)

func score(t testing.TB, s *Scorer, sequences [][]int32) []float64 {
	t.Helper()
	scores, err := s.Score(context.Background(), sequences)
	require.NoError(t, err)
	return scores
}

func sequencesOf(pairs []data.Pair) (sequences [][]int32) {
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

// Answers that share their prompt, and what they begin with, have the bits of their sequences, whatever is grouped.
func TestScoresOfAnswers(t *testing.T) {
	p := tinyModel(t)
	plain, err := NewScorer(p, 256, 32)
	require.NoError(t, err)
	a, b, c := []int32{1, 6, 7}, []int32{1, 6, 8, 9}, []int32{1}
	var answers []data.Answer
	add := func(prompt []int32, group ...[]int32) {
		for _, answer := range group {
			answers = append(answers, data.Answer{Prompt: data.TokenPrompt{Tokens: prompt}, Tokens: answer})
		}
	}
	add(a, []int32{4, 2}, []int32{5, 6, 7, 2}, []int32{5, 6, 2}, []int32{4, 2}, []int32{4}, nil, []int32{4, 2, 2, 2})
	add(b, []int32{4, 2}, []int32{4, 5, 2})
	add(a, []int32{9})
	add(c, nil, []int32{3}, nil, []int32{3, 3}) // a prompt alone has nothing to share
	add(nil, []int32{1, 2}, []int32{1, 2})
	for _, pair := range tastes(8, 20) {
		add(pair.Prompt, pair.Chosen, pair.Rejected)
	}
	var sequences [][]int32
	for _, answer := range answers {
		sequences = append(sequences, slices.Concat(answer.Prompt.Tokens, answer.Tokens))
	}
	want := score(t, plain, sequences)
	for _, budget := range [][2]int{{256, 32}, {16, 16}, {16, 3}, {11, 2}, {12, 1}} {
		scorer, err := NewScorer(p, budget[0], budget[1])
		require.NoError(t, err)
		got, err := scorer.ScoreAnswers(t.Context(), answers)
		require.NoError(t, err)
		assert.Equal(t, want, got, "%v", budget)
	}

	groups, err := plain.group(answers[:10])
	require.NoError(t, err)
	tokens := make([][][]int32, len(groups))
	for g, group := range groups {
		for _, seg := range group {
			tokens[g] = append(tokens[g], seg.tokens)
		}
	}
	assert.Equal(t, [][][]int32{
		{{1, 6, 7, 4, 2}, {5, 6, 7, 2}, {5, 6, 2}, {2}, {4}, {7}, {2, 2}}, // the last token is always an answer's own
		{{1, 6, 8, 9, 4, 2}, {5, 2}},
		{{1, 6, 7, 9}},
	}, tokens)

	long := data.Answer{Prompt: data.TokenPrompt{Tokens: make([]int32, 9)}, Tokens: make([]int32, 8)}
	_, err = plain.ScoreAnswers(t.Context(), []data.Answer{answers[0], long})
	assert.ErrorContains(t, err, "sequence 1 has 17 tokens, want 1 to the model's context of 16")
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
