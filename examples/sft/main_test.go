package main

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDialogues(t *testing.T) {
	training, heldOut := dialogues()
	assert.Len(t, training, 24)
	assert.Len(t, heldOut, 8)
	for _, d := range append(training, heldOut...) {
		assert.NoError(t, d.Validate())
	}
}

func TestRun(t *testing.T) {
	r, err := run(context.Background(), t.Output())
	require.NoError(t, err)
	require.NotEmpty(t, r.losses)
	assert.Greater(t, r.losses[0], 4.0)
	assert.Less(t, r.losses[len(r.losses)-1], 0.5)
	assert.Equal(t, 8, r.asked)
	assert.GreaterOrEqual(t, r.right, 6)
}
