package main

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

func TestRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "animals")
	r, err := run(context.Background(), t.Output(), dir)
	require.NoError(t, err)
	require.NotEmpty(t, r.losses)
	assert.Greater(t, r.losses[0], 4.0)
	assert.Less(t, r.losses[len(r.losses)-1], 1.0)
	assert.GreaterOrEqual(t, r.right, len(facts)-1)

	// What was written can be read, and says the same.
	p, err := model.Load(dir)
	require.NoError(t, err)
	tok, err := tokenizer.Load(filepath.Join(dir, "tokenizer.model"))
	require.NoError(t, err)
	text, err := continuation(context.Background(), tok, p, "the dog")
	require.NoError(t, err)
	assert.Regexp(t, "^ barks", text)
	assert.InDelta(t, 40_000, float64(p.NumParams()), 1000)
}
