package main

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	own, clipped, err := run(context.Background(), t.Output())
	require.NoError(t, err)
	require.Len(t, own, 15)
	assert.Equal(t, clipped[0]["objective/scores"], own[0]["objective/scores"], "both start from the same answers")
	assert.Less(t, own[0]["objective/scores"], 1.0)
	assert.Greater(t, own[14]["objective/scores"], 4.0)
	assert.Greater(t, own[14]["policy/softness"], 0.0, "the loss's own metrics are reported")
	assert.NotContains(t, clipped[14], "policy/softness")
}
