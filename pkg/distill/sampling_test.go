package distill

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Samples of a prompt differ at temperature 1, and are all the most probable answer at a temperature near 0 or if top-p keeps one token.
func TestSamplingSettings(t *testing.T) {
	differ := func(change func(*Config)) bool {
		cfg := tinyConfig()
		change(&cfg)
		r, err := Distill(t.Context(), tinyModel(t), template(t), prompts(4), generic(t, "safe"), hash, cfg)
		require.NoError(t, err)
		return slices.ContainsFunc(r.Candidates, func(c Candidate) bool {
			return !slices.Equal(c.Original.Tokens, r.Candidates[c.first(r)].Original.Tokens)
		})
	}
	assert.True(t, differ(func(*Config) {}))
	assert.False(t, differ(func(c *Config) { c.Temperature = 1e-4 }))
	assert.False(t, differ(func(c *Config) { c.TopP = 1e-9 }))
}

// first is the index of the first sample of the candidate's prompt.
func (c Candidate) first(r Result) int {
	return slices.IndexFunc(r.Candidates, func(o Candidate) bool { return o.Prompt.ID == c.Prompt.ID })
}
