package heap_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tame-rlhf/tame/internal/heap"
)

type number int

func (n number) Before(m number) bool { return n < m }

func TestHeap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var h heap.Heap[number]
	var sorted []number // what the heap holds
	for range 10_000 {
		if len(sorted) == 0 || rng.IntN(5) < 3 {
			x := number(rng.IntN(500))
			h.Push(x)
			at, _ := slices.BinarySearch(sorted, x)
			sorted = slices.Insert(sorted, at, x)
			continue
		}
		assert.Equal(t, sorted[0], h.Pop())
		sorted = sorted[1:]
	}
	for _, x := range sorted {
		assert.Equal(t, x, h.Pop())
	}
	assert.Empty(t, h)
}
