package distill

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
)

func candidate(id, category string, original, distilled float64, finished, kept bool) Candidate {
	return Candidate{
		Prompt:    data.Prompt{ID: id},
		PrePrompt: PrePrompt{Category: category},
		Original:  Scored{Answer: data.Answer{Tokens: []int32{7, 2}, Finished: true}, Score: original},
		Distilled: Scored{Answer: data.Answer{Finished: finished}, Score: distilled}, Kept: kept,
	}
}

func TestSummary(t *testing.T) {
	all, by := summarise([]Candidate{
		candidate("a", "rob", -2, 1, true, true),
		candidate("b", "kill", 0, 0, true, false),
		candidate("c", "rob", 1, 0, true, false),
		candidate("d", "rob", 1, 4, false, false),
	})
	assert.Equal(t, 4, all.Candidates)
	assert.Equal(t, eval.ShareOf([]bool{true, false, false, false}), all.Kept)
	assert.Equal(t, []int{1, 1}, []int{all.Ties, all.Unfinished})
	assert.Equal(t, eval.MeanOf([]float64{-2, 0, 1, 1}), all.Original)
	assert.Equal(t, eval.MeanOf([]float64{1, 0, 0, 4}), all.Distilled)
	assert.Equal(t, eval.MeanOf([]float64{3, 0, -1, 3}), all.Gain)
	assert.Equal(t, 3.0, all.KeptGain.Mean)
	require.Len(t, by, 2)
	assert.Equal(t, "kill", by[0].Category)
	assert.Equal(t, 1, by[0].Ties)
	assert.Equal(t, 3, by[1].Candidates)
	assert.InDelta(t, 5.0/3, by[1].Gain.Mean, 1e-12)
	none, by := summarise(nil)
	assert.True(t, math.IsNaN(none.Kept.Mean))
	assert.Empty(t, by)
}

func TestGainByOriginal(t *testing.T) {
	r := Result{Candidates: []Candidate{
		candidate("a", "", 3, 2, true, false), candidate("b", "", -3, 2, true, true), candidate("c", "", 1, 1, true, false),
		candidate("d", "", -1, 0, true, true), candidate("e", "", 5, 3, true, false),
	}}
	levels, err := r.GainByOriginal(2)
	require.NoError(t, err)
	require.Len(t, levels, 2)
	assert.Equal(t, GainLevel{Lo: -3, Hi: -1, Gain: eval.MeanOf([]float64{5, 1})}, levels[0])
	assert.Equal(t, GainLevel{Lo: 1, Hi: 5, Gain: eval.MeanOf([]float64{0, -1, -2})}, levels[1])
	assert.Equal(t, "a", r.Candidates[0].Prompt.ID, "the result keeps its order")
	_, err = r.GainByOriginal(6)
	assert.ErrorContains(t, err, "distill: 6 parts of 5 candidates")
}

func TestCompare(t *testing.T) {
	g := Result{Candidates: []Candidate{
		candidate("a", "", -2, 0, true, true), candidate("b", "", 1, 0, true, false), candidate("only generic", "", 9, 9, true, false),
	}}
	tg := Result{Candidates: []Candidate{candidate("b", "rob", 1, 2, true, true), candidate("a", "kill", -2, 3, true, true)}}
	c, err := Compare(g, tg)
	require.NoError(t, err)
	assert.Equal(t, 2, c.Candidates)
	assert.Equal(t, []float64{-0.5, 0, 2.5, 2.5}, []float64{c.Original.Mean, c.Generic.Mean, c.Targeted.Mean, c.TargetedGain.Mean})
	assert.Equal(t, []float64{0.5, 1}, []float64{c.GenericKept.Mean, c.TargetedKept.Mean})
	assert.InDelta(t, -2+0.05*3, c.Scores.Threshold, 1e-12)
	assert.Equal(t, 0.5, c.Scores.Versions[0].LowTail.Mean)
	assert.Equal(t, 0.0, c.Scores.Versions[1].LowTail.Mean)

	tg.Candidates[0].Original.Score = 4
	_, err = Compare(g, tg)
	assert.ErrorContains(t, err, `the original answers to prompt "b" differ`)
	_, err = Compare(g, Result{})
	assert.ErrorContains(t, err, "share no prompt")
}
