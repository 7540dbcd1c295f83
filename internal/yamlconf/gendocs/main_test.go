package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The comments that --print-config writes are those in the source.
func TestCommittedFileIsUpToDate(t *testing.T) {
	want, err := generate("../../..")
	require.NoError(t, err)
	got, err := os.ReadFile("../../../cmd/tame/fielddocs.json")
	require.NoError(t, err)
	assert.True(t, string(want) == string(got), "a comment of a Config has changed: run go generate ./cmd/tame")
}

func TestCommentsAreFound(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "pkg", "sft")
	require.NoError(t, os.MkdirAll(dir, 0o777))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.go"), []byte(`package sft

type Config struct {
	// Epochs is the number of passes
	// over the "rows".
	Epochs int
	A, B   int // both
	None   int
	hidden int // not this
}

type Other struct {
	X int // nor this
}
`), 0o666))
	text, err := generate(root)
	require.NoError(t, err)
	assert.Contains(t, string(text), `"sft.Config.Epochs": "Epochs is the number of passes over the \"rows\"."`)
	assert.Contains(t, string(text), `"both"`)
	assert.NotContains(t, string(text), "this")
	assert.NotContains(t, string(text), "Config.B")
}
