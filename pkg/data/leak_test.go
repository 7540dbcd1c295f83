package data

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// scribbler overwrites memory that is given back.
type scribbler struct{ memory.Allocator }

func (s scribbler) Free(b []byte) {
	for i := range b {
		b[i] = 0xaa
	}
	s.Allocator.Free(b)
}

// Every Arrow buffer is released, after writing, reading in part and reading all; and no row needs one afterwards.
func TestNoLeaks(t *testing.T) {
	mem := memory.NewCheckedAllocator(scribbler{memory.NewGoAllocator()})
	defer mem.AssertSize(t, 0)
	path := filepath.Join(t.TempDir(), "x.arrow")
	want := slices.Repeat([]Sample{{PromptID: "a", Messages: []Message{{User, "Hi"}}, Prompt: []int32{1, 2}, Tokens: []int32{3},
		LogProbs: []float32{-1}, Text: "Hello"}}, 2000)
	require.NoError(t, writeSeq(path, func(yield func(Sample, error) bool) {
		for _, row := range want {
			if !yield(row, nil) {
				return
			}
		}
	}, Lineage{}, DefaultCompression, mem))
	r, err := open[Sample](path, mem)
	require.NoError(t, err)
	for _, err := range r.Rows() {
		require.NoError(t, err)
		break
	}
	var got []Sample
	for row, err := range r.Rows() {
		require.NoError(t, err)
		got = append(got, row)
	}
	require.NoError(t, r.Close())
	assert.Equal(t, want, got)
}
