package main

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
)

func TestReward(t *testing.T) {
	word := data.TokenPrompt{ID: "abbabba"}
	rewards, err := reward(context.Background(), []data.Answer{
		{Prompt: word, Tokens: []int32{letterB, eos}},
		{Prompt: word, Tokens: []int32{letterA, eos}},
		{Prompt: word, Tokens: []int32{letterB, letterB, eos}},
		{Prompt: word, Tokens: []int32{letterB}},
	})
	require.NoError(t, err)
	assert.Equal(t, []float64{1, 0, 0, 0}, rewards)
}

func TestPrompts(t *testing.T) {
	training, heldOut := prompts()
	ids := map[string]bool{}
	for _, p := range append(training, heldOut...) {
		assert.Len(t, p.ID, wordLength)
		assert.Len(t, p.Tokens, wordLength+2)
		ids[p.ID] = true
	}
	assert.Len(t, ids, 1<<wordLength)
}

func TestRun(t *testing.T) {
	start, versions, err := run(context.Background(), t.Output())
	require.NoError(t, err)
	require.Len(t, versions, 3)
	assert.Less(t, start, 0.7)
	assert.Greater(t, versions[0].point.Max, versions[0].point.Median, "the best of K is better than a usual answer")
	assert.Greater(t, versions[2].heldOut, 0.9)
	assert.Greater(t, versions[2].point.Median, versions[0].point.Median)
}
