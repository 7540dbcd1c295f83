package heap_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tame-rlhf/tame/internal/heap"
)

func TestHeap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var h heap.Heap[int]
	var sorted []uint64 // what the heap holds
	for range 10_000 {
		if len(sorted) == 0 || rng.IntN(5) < 3 {
			x := rng.Uint64N(500)
			h.Push(x, 2*int(x))
			at, _ := slices.BinarySearch(sorted, x)
			sorted = slices.Insert(sorted, at, x)
			continue
		}
		assert.Equal(t, heap.Item[int]{sorted[0], 2 * int(sorted[0])}, h.Pop())
		sorted = sorted[1:]
	}
	for _, x := range sorted {
		assert.Equal(t, heap.Item[int]{x, 2 * int(x)}, h.Pop())
	}
	assert.Empty(t, h)
}
