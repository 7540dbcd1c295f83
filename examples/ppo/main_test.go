package main

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
)

func TestReward(t *testing.T) {
	answer := func(letters ...int32) data.Answer {
		return data.Answer{Prompt: data.TokenPrompt{Tokens: []int32{bos, 4}}, Tokens: letters}
	}
	assert.InDelta(t, 1, reward(answer(4, 4, eos)), 1e-12)
	assert.InDelta(t, 0.25, reward(answer(3, 4, 5, 6)), 1e-12)
	assert.Zero(t, reward(answer(eos)))
}

func TestRun(t *testing.T) {
	iterations, err := run(context.Background(), t.Output())
	require.NoError(t, err)
	require.Len(t, iterations, config().Iterations)
	first, last := iterations[0], iterations[len(iterations)-1]
	assert.Less(t, first["objective/scores"], 0.5)
	assert.Greater(t, last["objective/scores"], 0.7)
	assert.Zero(t, first["objective/kl"], "the policy is its own reference")
	assert.Greater(t, last["objective/kl"], 0.5)
	assert.Less(t, last["objective/kl"], 10.0)
	assert.Zero(t, first["rollout/logprob_diff_max"], "sampling and training have the same arithmetic")
}
