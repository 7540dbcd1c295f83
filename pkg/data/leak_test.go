package data

import (
	"path/filepath"
	"testing"

	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/stretchr/testify/require"
)

// Every Arrow buffer is released: after writing, reading in part and reading all.
func TestNoLeaks(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	path := filepath.Join(t.TempDir(), "x.arrow")
	rows := func(yield func(Conversation, error) bool) {
		for range 2000 {
			if !yield(Conversation{Messages: []Message{{User, "Hi"}, {Assistant, "Hello"}}}, nil) {
				return
			}
		}
	}
	require.NoError(t, writeSeq(path, rows, Lineage{}, mem))
	r, err := open[Conversation](path, mem)
	require.NoError(t, err)
	for _, err := range r.Rows() {
		require.NoError(t, err)
		break
	}
	for _, err := range r.Rows() {
		require.NoError(t, err)
	}
	require.NoError(t, r.Close())
}
