package columnar

import (
	"bytes"
	"testing"

	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What is at hand counts, not what was freed; a large file may hold one batch.
func TestLimited(t *testing.T) {
	mem := newLimited(memory.DefaultAllocator, 1000)
	take := func(mem *limited, bytes int) error {
		return Guard(func() error { mem.take(bytes); return nil })
	}
	require.NoError(t, take(mem, maxBatch-10))
	assert.EqualError(t, take(mem, 20), "a record batch takes more than 512 MiB in memory: write the file with smaller batches")
	b := mem.Allocate(8)
	b = mem.Reallocate(10, b)
	assert.ErrorIs(t, take(mem, 1), errLarge)
	mem.Free(b)
	require.NoError(t, take(mem, 10))
	assert.ErrorContains(t, take(mem, -1), "the file is damaged: a piece of it claims -1 bytes")
	require.NoError(t, take(newLimited(memory.DefaultAllocator, maxBatch), 2*maxBatch))
}

// Memory for a description is taken only if the file has it, and up to a limit.
func TestDescriptionIsLimited(t *testing.T) {
	for _, c := range []struct {
		size, at, n int64
		want        string
	}{
		{100, 50, 1 << 30, "the file has 100"}, {100, 50, -1, "the file has 100"}, {100, -1, 8, "the file has 100"}, {1 << 40, 50, maxDescription + 1, "at most 67108864 are read"},
	} {
		_, err := readFlatbuffer(bytes.NewReader(nil), c.size, c.at, c.n)
		assert.ErrorContains(t, err, c.want)
	}
}
