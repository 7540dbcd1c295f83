package rejection

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Figure 7 of the paper shows up to 100 samples; the choice is documented.
func TestDefaultConfigHasSixteenSamples(t *testing.T) {
	assert.Equal(t, 16, DefaultConfig().Samples)
}

// A top-p that only the most probable token reaches gives the same answer again and again.
func TestSampleUsesTopP(t *testing.T) {
	differ := func(topP float64) bool {
		cfg := tinyConfig()
		cfg.TopP = topP
		answers, err := Sample(context.Background(), tinyModel(t), prompts(3), short, cfg)
		require.NoError(t, err)
		return slices.ContainsFunc(answers, func(c Candidate) bool { return !slices.Equal(c.Tokens, answers[c.first(answers)].Tokens) })
	}
	assert.True(t, differ(1))
	assert.False(t, differ(1e-9))
}

// first is the index of the first sample of the candidate's prompt.
func (c Candidate) first(all []Candidate) int {
	return slices.IndexFunc(all, func(o Candidate) bool { return o.Prompt.ID == c.Prompt.ID })
}

// By hand: differences 0 and 2 have the mean 1 and the variance 2 (one degree of freedom), so a standard error of 1; differences 1, 1, 1
// and 5 have the mean 2 and the variance 4, so one of 1.
func TestStandardErrorByHand(t *testing.T) {
	assert.True(t, asGood([]float64{3, 3}, []float64{3, 5}))
	assert.False(t, asGood([]float64{3, 3}, []float64{4, 6}), "mean 2, the same error")
	assert.False(t, asGood([]float64{0, 0, 0, 0}, []float64{1, 1, 1, 5}))
}
