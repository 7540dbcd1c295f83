package data_test

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
)

// plainPack is best-fit decreasing as it is defined: every item looks at every bin. Nothing is checked.
func plainPack(groups [][]int, n, s int) [][]int {
	type item struct{ group, tokens, segments int }
	var items []item
	for g, members := range groups {
		it := item{group: g, segments: len(members)}
		for _, length := range members {
			it.tokens += length
		}
		items = append(items, it)
	}
	slices.SortStableFunc(items, func(a, b item) int { return cmp.Compare(b.tokens, a.tokens) })

	type bin struct {
		tokens, segments int // free
		groups           []int
	}
	var bins []*bin
	for _, it := range items {
		var best *bin // the first of the fullest
		for _, b := range bins {
			if it.tokens <= b.tokens && it.segments <= b.segments && (best == nil || b.tokens < best.tokens) {
				best = b
			}
		}
		if best == nil {
			best = &bin{tokens: n, segments: s}
			bins = append(bins, best)
		}
		best.tokens -= it.tokens
		best.segments -= it.segments
		best.groups = append(best.groups, it.group)
	}
	micro := [][]int{}
	for _, b := range bins {
		slices.Sort(b.groups)
		micro = append(micro, b.groups)
	}
	slices.SortFunc(micro, func(a, b []int) int { return cmp.Compare(a[0], b[0]) })
	return micro
}

// What models were trained on depends on the packing, so it must stay what the plain form gives, bin by bin.
func TestPackIsPlainBestFitDecreasing(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 4000 {
		n, s := 1+rng.IntN(60), 1+rng.IntN(6)
		if rng.IntN(4) == 0 {
			n *= 1000 // few items for a large budget
		}
		groups := make([][]int, rng.IntN(80))
		for i := range groups {
			left := n
			for range rng.IntN(min(s, n) + 1) { // groups without members too
				length := 1 + rng.IntN(max(1, left/2))
				if left -= length; left < 0 {
					break
				}
				groups[i] = append(groups[i], length)
			}
		}
		got, err := data.PackGroups(groups, n, s)
		require.NoError(t, err)
		require.Equal(t, plainPack(groups, n, s), got, "%v, %d tokens, %d segments", groups, n, s)
	}
}

func TestPackIsPlainBestFitDecreasingOfManyLengths(t *testing.T) {
	for _, s := range []int{3, 64} {
		lengths := mixedLengths(6000, 1024)
		got, err := data.Pack(lengths, 1024, s)
		require.NoError(t, err)
		groups := make([][]int, len(lengths))
		for i := range groups {
			groups[i] = lengths[i : i+1]
		}
		require.Equal(t, plainPack(groups, 1024, s), got)
	}
}

// A budget that nobody can hold in memory is fine while the sequences are small, and so are a few huge ones.
func TestPackHugeBudget(t *testing.T) {
	got, err := data.Pack([]int{3, 4, 5}, math.MaxInt, 2)
	require.NoError(t, err)
	assert.Equal(t, [][]int{{0}, {1, 2}}, got)
	got, err = data.Pack([]int{math.MaxInt - 1, math.MaxInt, 1}, math.MaxInt, 2)
	require.NoError(t, err)
	assert.Equal(t, [][]int{{0, 2}, {1}}, got)
}

// mixedLengths are like those of dialogues: log-normal with a median of 300 tokens, cut at the budget.
func mixedLengths(count, budget int) []int {
	rng := rand.New(rand.NewPCG(5, 6))
	lengths := make([]int, count)
	for i := range lengths {
		lengths[i] = min(budget, 1+int(300*math.Exp(rng.NormFloat64())))
	}
	return lengths
}

// fill is the used share of the micro-batches' slots.
func fill(lengths []int, micro [][]int, n int) float64 {
	used := 0
	for _, length := range lengths {
		used += length
	}
	return float64(used) / float64(len(micro)*n)
}

func TestPackFill(t *testing.T) {
	for _, n := range []int{2048, 4096} {
		lengths := mixedLengths(20000, n)
		micro, err := data.Pack(lengths, n, n)
		require.NoError(t, err)
		used := 0
		for _, length := range lengths {
			used += length
		}
		least := (used + n - 1) / n // no packing needs fewer
		assert.GreaterOrEqual(t, fill(lengths, micro, n), 0.97)
		assert.LessOrEqual(t, len(micro), least+1, "best fit is within one micro-batch of what is possible")
	}
}

func BenchmarkPackMixed(b *testing.B) {
	for _, n := range []int{2048, 4096} {
		for _, count := range []int{1e5, 1e6} {
			b.Run(fmt.Sprintf("%d_of_%d", count, n), func(b *testing.B) {
				lengths := mixedLengths(count, n)
				var micro [][]int
				for b.Loop() {
					var err error
					if micro, err = data.Pack(lengths, n, 256); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(count)*float64(b.N)/b.Elapsed().Seconds(), "sequences/s")
				b.ReportMetric(100*fill(lengths, micro, n), "%fill")
			})
		}
	}
	b.Run("plain_100000_of_4096", func(b *testing.B) {
		lengths := mixedLengths(1e5, 4096)
		groups := make([][]int, len(lengths))
		for i := range groups {
			groups[i] = lengths[i : i+1]
		}
		for b.Loop() {
			plainPack(groups, 4096, 256)
		}
		b.ReportMetric(1e5*float64(b.N)/b.Elapsed().Seconds(), "sequences/s")
	})
}
