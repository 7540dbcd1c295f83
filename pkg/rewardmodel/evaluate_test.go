package rewardmodel

import (
	"context"
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
		{Rating: data.SignificantlyBetter, ChosenSafe: data.Safe, RejectedSafe: data.Unsafe},
		{Rating: data.SignificantlyBetter, ChosenSafe: data.Unsafe, RejectedSafe: data.Unsafe},
		{Rating: data.SlightlyBetter, ChosenSafe: data.Safe},
		{Rating: data.NegligiblyBetter},
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
	assert.Equal(t, Count{Hits: 1, N: 3}, e.UnsafeRecall)
	assert.Equal(t, Count{Hits: 1, N: 2}, e.UnsafePrecision)
	assert.Equal(t, -5.0, e.MinReward)
	assert.Equal(t, 3.0, e.MaxReward)
	assert.InDelta(t, (2-1+1+1-0.5+3-4-5)/8.0, e.MeanReward, 1e-12)
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
