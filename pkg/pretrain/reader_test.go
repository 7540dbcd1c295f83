package pretrain

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// document has ids that tell every token of every document apart.
func document(d, length int) []int32 {
	ids := make([]int32, length)
	for i := range ids {
		ids[i] = int32(1000*d + i)
	}
	return ids
}

// Every token but the first of a document is predicted once, from the token before it.
func TestCut(t *testing.T) {
	lengths := []int{0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 23}
	for size := 2; size <= 9; size++ {
		var docs [][]int32
		want := map[[2]int32]int{}
		for d, length := range lengths {
			docs = append(docs, document(d, length))
			for i := 1; i < length; i++ {
				want[[2]int32{docs[d][i-1], docs[d][i]}] = 1
			}
		}
		got := map[[2]int32]int{}
		for _, w := range cut(docs, size) {
			assert.LessOrEqual(t, len(w), size)
			assert.Greater(t, len(w), 1)
			for i := 1; i < len(w); i++ {
				got[[2]int32{w[i-1], w[i]}]++
			}
		}
		assert.Equal(t, want, got, "windows of %d", size)
	}
	assert.Equal(t, [][]int32{{0, 1, 2}, {2, 3, 4}, {4, 5}}, cut([][]int32{{0, 1, 2, 3, 4, 5}}, 3))
}

// Every epoch hands out every window once, in an order of its own; a batch may span two epochs.
func TestReader(t *testing.T) {
	var all [][]int32
	for d := range 10 {
		all = append(all, document(d, 3))
	}
	r := &windows{all: all, tokens: 10, seed: 1}
	var seen []string
	var epochs float64
	for range 5 { // 4 windows each: 12 tokens are the first to reach 10
		var picked [][]int32
		var err error
		picked, epochs, err = r.Next(t.Context())
		require.NoError(t, err)
		require.Len(t, picked, 4)
		for _, w := range picked {
			seen = append(seen, fmt.Sprint(w[0]/1000))
		}
	}
	assert.InDelta(t, 2, epochs, 1e-12)
	first, second := seen[:10], seen[10:]
	assert.NotEqual(t, first, second)
	every := []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}
	assert.Equal(t, every, slices.Sorted(slices.Values(first)))
	assert.Equal(t, every, slices.Sorted(slices.Values(second)))

	r.tokens = 15
	_, epochs, err := r.Next(t.Context())
	require.NoError(t, err)
	assert.InDelta(t, 2.5, epochs, 1e-12)
	picked, _, err := (&windows{all: all, tokens: 30, seed: 1}).Next(t.Context())
	require.NoError(t, err)
	for i, w := range picked {
		assert.Equal(t, first[i], fmt.Sprint(w[0]/1000), "the same seed gives the same order")
	}
}
