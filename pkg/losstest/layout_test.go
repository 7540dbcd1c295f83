package losstest_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
)

// apartBy is the norm of the difference as a share of the norm of want.
func apartBy(want, got []float64) float64 {
	var diff, norm float64
	for i, x := range want {
		diff += (got[i] - x) * (got[i] - x)
		norm += x * x
	}
	if diff == 0 {
		return 0
	}
	return math.Sqrt(diff / norm)
}

// sameBits wants equal outputs.
func (g *modelGraph) sameBits(t *testing.T, want, got [][]float64, when string) {
	t.Helper()
	for i, name := range g.names {
		assert.True(t, slices.Equal(want[i], got[i]), "%s: %s: %v instead of %v", when, name, got[i][0], want[i][0])
	}
}

// apart lays no sequence out as a branch.
func apart(pairs [][2]sequence) [][2]sequence {
	pairs = slices.Clone(pairs)
	for i := range pairs {
		pairs[i][1].shared = 0
	}
	return pairs
}

// Another order of the sequences, another packing, more micro-batches, what sequences share once or twice: the loss, every
// metric and the gradient of every weight stay, to rounding.
func TestLayoutDoesNotMatter(t *testing.T) {
	pairs := drawPairs(6)
	require.True(t, slices.ContainsFunc(pairs, func(p [2]sequence) bool { return p[1].shared > 1 }))
	order := func(idx ...int) (out [][2]sequence) {
		for _, i := range idx {
			out = append(out, pairs[i])
		}
		return out
	}
	const n, s = 96, 16
	batches := func(groups ...[][2]sequence) (all []*data.Ragged) {
		for _, g := range groups {
			all = append(all, micro(t, n, s, g))
		}
		return all
	}
	ways := map[string][]*data.Ragged{
		"backwards":           batches(order(5, 4, 3, 2, 1, 0)),
		"shuffled":            batches(order(2, 5, 0, 1, 4, 3)),
		"two micro-batches":   batches(order(0, 1, 2), order(3, 4, 5)),
		"another packing":     batches(order(3, 0), order(4, 1, 5), order(2)),
		"every pair alone":    batches(order(0), order(1), order(2), order(3), order(4), order(5)),
		"nothing shared":      batches(apart(pairs)),
		"the pairs backwards": batches(order(5), order(4), order(3), order(2), order(1), order(0)),
	}
	scalars := batchScalars(pairs)
	var exact map[string][][]float64
	for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
		tol := map[tensor.Dtype]float64{tensor.Float64: 1e-10, tensor.Float32: 1e-5}[dt]
		wide := map[string][][]float64{}
		for _, loss := range slices.Sorted(maps.Keys(modelLosses)) {
			t.Run(fmt.Sprintf("%s %v", loss, dt), func(t *testing.T) {
				g := newModelGraph(t, loss, dt, n, s)
				want := g.run(t, batches(order(0, 1, 2, 3, 4, 5)), scalars)
				wide[loss] = want
				largest := 0.0
				for _, way := range slices.Sorted(maps.Keys(ways)) {
					got := g.run(t, ways[way], scalars)
					for i, name := range g.names {
						e := apartBy(want[i], got[i])
						largest = max(largest, e)
						assert.LessOrEqual(t, e, tol, "%s: %s", way, name)
					}
				}
				g.sameBits(t, want, g.run(t, batches(order(0, 1, 2, 3, 4, 5)), scalars), "run again")
				if exact != nil {
					for i, name := range g.names {
						assert.LessOrEqual(t, apartBy(exact[loss][i], want[i]), 1e-5, "float32 against float64: %s", name)
					}
				}
				t.Logf("largest difference %.2g of the norm", largest)
			})
		}
		if exact == nil {
			exact = wide
		}
	}
}

// NaN and Inf in unused slots, in unused segments, behind the mask, and in all memory that an earlier run has left: not a
// bit of the loss, the metrics and the gradients changes, and nothing is written into the inputs.
func TestNothingBehindTheMaskMatters(t *testing.T) {
	pairs := drawPairs(3)
	const n, s = 64, 12
	scalars := batchScalars(pairs)
	for _, loss := range slices.Sorted(maps.Keys(modelLosses)) {
		for _, dt := range []tensor.Dtype{tensor.Float64, tensor.Float32} {
			for _, poison := range []float32{float32(math.NaN()), float32(math.Inf(1)), -1e30} {
				t.Run(fmt.Sprintf("%s %v %v", loss, dt, poison), func(t *testing.T) {
					g := newModelGraph(t, loss, dt, n, s)
					want := g.run(t, []*data.Ragged{micro(t, n, s, pairs)}, scalars)
					require.False(t, math.IsNaN(want[0][0]))

					// A run over a full batch with spoiled weights spoils the memory of every intermediate and of every result.
					g.spoil(t, poison)

					dirty := micro(t, n, s, pairs)
					used, segments := dirty.Used()
					require.Less(t, used, n)
					for i := range n {
						if i >= used {
							dirty.Tokens[i], dirty.Targets[i], dirty.Segments[i] = 1<<30, 1<<30, -1
						}
						for _, name := range tokenColumns {
							if i >= used || dirty.Mask[i] == 0 {
								dirty.TokenColumn(name)[i] = poison
							}
						}
					}
					for _, name := range []string{"margin", "safe"} { // "known" is a mask
						for i := segments; i < s; i++ {
							dirty.SegmentColumn(name)[i] = poison
						}
					}
					for i, known := range dirty.SegmentColumn("known") {
						if known == 0 && i < segments {
							dirty.SegmentColumn("safe")[i] = poison // behind a mask of its own
						}
						if i%2 == 1 {
							dirty.SegmentColumn("margin")[i] = poison // a pair's margin lies at its first segment
						}
					}
					g.sameBits(t, want, g.run(t, []*data.Ragged{dirty}, scalars), "through Feed, which clears what is unused")

					held := g.bindColumns(t, dirty)
					require.NoError(t, g.program.Run(context.Background()))
					g.sameBits(t, want, g.values(t), "past Feed")
					for _, h := range held {
						assert.Equal(t, h.bits, bitsOf(h.value), "%s was written into", h.name)
					}
				})
			}
		}
	}
}
