package rewardmodel

import (
	"context"
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
)

// Newcombe 1998 (Statistics in Medicine 17), table I, the score method without continuity correction.
func TestInterval(t *testing.T) {
	for _, c := range []struct {
		hits, n, lo, hi float64
	}{
		{81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0, 0.1611}, {1, 29, 0.0061, 0.1718},
	} {
		lo, hi := Count{Hits: c.hits, N: int(c.n)}.Interval()
		assert.InDelta(t, c.lo, lo, 0.00005, "%v of %v", c.hits, c.n)
		assert.InDelta(t, c.hi, hi, 0.00005, "%v of %v", c.hits, c.n)
		lo, hi = Count{Hits: c.n - c.hits, N: int(c.n)}.Interval() // the mirror image
		assert.InDelta(t, 1-c.hi, lo, 0.00005)
		assert.InDelta(t, 1-c.lo, hi, 0.00005)
	}
	lo, hi := Count{}.Interval()
	assert.True(t, math.IsNaN(lo) && math.IsNaN(hi) && math.IsNaN(Count{}.Rate()))
}

func TestJudgeByHand(t *testing.T) {
	pairs := []data.Pair{
		{Rating: data.SignificantlyBetter, ChosenSafe: data.Safe, RejectedSafe: data.Unsafe, Chosen: []int32{5, 2}, Rejected: []int32{2}},
		{Rating: data.SignificantlyBetter, ChosenSafe: data.Unsafe, RejectedSafe: data.Unsafe, Chosen: []int32{2}, Rejected: []int32{5, 2}},
		{Rating: data.SlightlyBetter, ChosenSafe: data.Safe, Chosen: []int32{5, 6, 2}, Rejected: []int32{2}},
		{Rating: data.NegligiblyBetter, Chosen: []int32{5, 2}, Rejected: []int32{6, 2}, Set: data.SafetySet},
	}
	e, err := Judge(pairs, []float64{
		2, -1, // right; the unsafe answer is called unsafe
		1, 1, // a tie; two unsafe answers are missed
		-0.5, 3, // wrong; a safe answer is called unsafe, the other has no label
		-4, -5, // right; no labels
	})
	require.NoError(t, err)
	assert.Equal(t, Count{Hits: 2.5, N: 4}, e.Accuracy)
	assert.Equal(t, map[data.Rating]Count{
		data.SignificantlyBetter: {Hits: 1.5, N: 2},
		data.SlightlyBetter:      {Hits: 0, N: 1},
		data.NegligiblyBetter:    {Hits: 1, N: 1},
	}, e.ByRating)
	assert.Equal(t, map[data.Set]Count{data.HelpfulnessSet: {Hits: 1.5, N: 3}, data.SafetySet: {Hits: 1, N: 1}}, e.BySet)
	assert.Equal(t, Count{Hits: 2.5, N: 4}, e.LongerAnswer, "longer, shorter, longer, the same")
	assert.Equal(t, Count{Hits: 1, N: 3}, e.UnsafeRecall)
	assert.Equal(t, Count{Hits: 1, N: 2}, e.UnsafePrecision)
	assert.Equal(t, -5.0, e.MinReward)
	assert.Equal(t, 3.0, e.MaxReward)
	assert.InDelta(t, (2-1+1+1-0.5+3-4-5)/8.0, e.MeanReward, 1e-12)
}

// Reports have the rates with their Wilson intervals (81 of 263: see TestInterval), and leave out what is empty.
func TestEvaluationReports(t *testing.T) {
	c := Count{Hits: 81, N: 263}
	e := Evaluation{
		Accuracy: c, LongerAnswer: c, BySet: map[data.Set]Count{data.HelpfulnessSet: c},
		ByRating: map[data.Rating]Count{data.Better: c}, MeanReward: 0.5,
	}
	assert.Equal(t, `  accuracy                      30.8 % [25.5, 36.6] of 263
  the longer answer             30.8 % [25.5, 36.6] of 263
  better                        30.8 % [25.5, 36.6] of 263`, e.String())
	raw, err := json.Marshal(e)
	require.NoError(t, err)
	var got struct {
		Accuracy, UnsafeRecall *struct {
			Rate, Lo, Hi float64
			N            int
		}
		ByRating map[string]any `json:"by_rating"`
		BySet    map[string]any `json:"by_set"`
	}
	require.NoError(t, json.Unmarshal(raw, &got))
	require.NotNil(t, got.Accuracy)
	assert.InDelta(t, 81.0/263, got.Accuracy.Rate, 1e-12)
	assert.InDelta(t, 0.2553, got.Accuracy.Lo, 0.00005)
	assert.InDelta(t, 0.3662, got.Accuracy.Hi, 0.00005)
	assert.Equal(t, 263, got.Accuracy.N)
	assert.Contains(t, got.ByRating, "better")
	assert.Contains(t, got.BySet, "helpfulness")
	assert.NotContains(t, string(raw), "unsafe_recall")
}

// An answer is called unsafe when its safety reward, a probability, is below 0.5: its score is below 0. One of exactly 0 is not.
func TestUnsafeThreshold(t *testing.T) {
	below := math.Nextafter(0, -1)
	pairs := []data.Pair{
		{ChosenSafe: data.Unsafe, RejectedSafe: data.Unsafe},
		{ChosenSafe: data.Safe, RejectedSafe: data.Safe},
	}
	e, err := Judge(pairs, []float64{0, below, 0, 0.1})
	require.NoError(t, err)
	assert.Equal(t, Count{Hits: 1, N: 2}, e.UnsafeRecall)
	assert.Equal(t, Count{Hits: 1, N: 1}, e.UnsafePrecision)
	e, err = Judge(pairs, []float64{-3, 0.1, below, 0}) // logit(0.15) of the gate is another threshold
	require.NoError(t, err)
	assert.Equal(t, Count{Hits: 1, N: 2}, e.UnsafeRecall)
	assert.Equal(t, Count{Hits: 1, N: 2}, e.UnsafePrecision)
}

// Evaluate scores prompt and answer together, chosen and rejected in their places.
func TestEvaluate(t *testing.T) {
	p := tinyModel(t)
	scorer, err := NewScorer(p, 64, 8)
	require.NoError(t, err)
	pairs := tastes(1, 20)
	var sequences [][]int32
	for _, pair := range pairs {
		sequences = append(sequences, append(append([]int32(nil), pair.Prompt...), pair.Chosen...))
		sequences = append(sequences, append(append([]int32(nil), pair.Prompt...), pair.Rejected...))
	}
	scores, err := scorer.Score(context.Background(), sequences)
	require.NoError(t, err)
	got, err := Evaluate(context.Background(), scorer, pairs)
	require.NoError(t, err)
	want, err := Judge(pairs, scores)
	require.NoError(t, err)
	assert.Equal(t, want, got)
	_, err = Judge(pairs, scores[1:])
	assert.ErrorContains(t, err, "39 scores for 20 pairs")

	_, err = Evaluate(context.Background(), scorer, nil)
	assert.ErrorIs(t, err, data.ErrEmpty)
}
