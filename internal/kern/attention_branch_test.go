package kern_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/kern"
	"github.com/tame-rlhf/tame/pkg/backend"
)

// segment is one of a batch: how many tokens of its root it continues, and how many of its own it has.
type segment struct{ shared, own int }

// branches is a batch with branches, and the slots of each segment's whole sequence in it.
type branches struct {
	segments       []segment
	layout, shared []int32
	n              int
	sequences      [][]int
}

func newBranches(segments ...segment) branches {
	b := branches{segments: segments}
	var lengths []int
	var root int
	for _, s := range segments {
		if s.shared == 0 {
			root = b.n
		}
		var slots []int
		for pos := range s.shared {
			slots = append(slots, root+pos)
		}
		for i := range s.own {
			slots = append(slots, b.n+i)
		}
		b.sequences = append(b.sequences, slots)
		b.shared = append(b.shared, int32(s.shared))
		b.n += s.own
		lengths = append(lengths, s.own)
	}
	b.layout, _ = layoutOf(lengths...)
	b.shared = append(b.shared, 0, 0) // the room that layoutOf leaves
	return b
}

// randomBranches draws up to three roots with up to three branches each.
func randomBranches(rng *rand.Rand, longest int) branches {
	var segments []segment
	for range 1 + rng.IntN(3) {
		root := 1 + rng.IntN(longest)
		segments = append(segments, segment{0, root})
		for range rng.IntN(4) {
			segments = append(segments, segment{1 + rng.IntN(root), 1 + rng.IntN(longest)})
		}
	}
	return newBranches(segments...)
}

// gather takes rows of w numbers.
func gather[T kern.Float](x []T, w int, slots []int) []T {
	var rows []T
	for _, slot := range slots {
		rows = append(rows, x[slot*w:(slot+1)*w]...)
	}
	return rows
}

// run is Attention and its backward on the batch.
func (b branches) run(qkv, dout []float32, sh kern.AttnShape) attn[float32] {
	return runBranches(b, qkv, dout, sh)
}

func runBranches[T kern.Float](b branches, qkv, dout []T, sh kern.AttnShape) attn[T] {
	table := backend.RoPETable[T](2048, sh.D, ropeTheta)
	r := attn[T]{make([]T, b.n*sh.H*sh.D), make([]T, b.n*sh.H), filled[T](len(qkv), 7)}
	kern.Attention(r.out, r.lse, qkv, table, b.layout, b.shared, sh)
	kern.AttentionBackward(r.dqkv, qkv, table, r.out, r.lse, dout, b.layout, b.shared, sh)
	return r
}

// requireSequences wants each segment's rows to have the bits that they have in the whole sequence.
func (b branches) requireSequences(t *testing.T, qkv []float32, sh kern.AttnShape, got attn[float32], what string) {
	t.Helper()
	width, hd := attnWidth(sh), sh.H*sh.D
	for s, slots := range b.sequences {
		layout, n := layoutOf(len(slots))
		out, lse := make([]float32, n*hd), make([]float32, n*sh.H)
		kern.Attention(out, lse, gather(qkv, width, slots), backend.RoPETable[float32](n, sh.D, ropeTheta), layout, nil, sh)
		from := b.segments[s].shared
		requireBits(t, out[from*hd:], gather(got.out, hd, slots[from:]), fmt.Sprintf("%s: %v: out of segment %d", what, b.segments, s))
		requireBits(t, lse[from*sh.H:], gather(got.lse, sh.H, slots[from:]), fmt.Sprintf("%s: %v: lse of segment %d", what, b.segments, s))
	}
}

// TestBranchBits: a branch has the bits that its tokens have in the whole sequence.
func TestBranchBits(t *testing.T) {
	rng := newRand(80)
	batches := []branches{
		newBranches(segment{0, 300}, segment{256, 300}, segment{255, 2}, segment{257, 128}, segment{300, 1}, segment{1, 400}, segment{130, 600}),
		newBranches(segment{0, 33}, segment{32, 32}, segment{31, 65}, segment{33, 100}, segment{0, 5}, segment{0, 1}, segment{1, 129}),
		newBranches(segment{0, 700}, segment{500, 20}, segment{500, 30}),
	}
	for range 4 {
		batches = append(batches, randomBranches(rng, 150))
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for i, b := range batches {
		sh := randomShape(rng)
		qkv, dout := normals[float32](rng, b.n*attnWidth(sh)), normals[float32](rng, b.n*sh.H*sh.D)
		for _, level := range kern.Levels() {
			kern.SetLevel(t, level)
			runtime.GOMAXPROCS(1)
			want := b.run(qkv, dout, sh)
			b.requireSequences(t, qkv, sh, want, level)
			for _, procs := range []int{2, 3} {
				runtime.GOMAXPROCS(procs)
				got := b.run(qkv, dout, sh)
				what := fmt.Sprintf("batch %d, %s, %d threads: ", i, level, procs)
				requireBits(t, want.out, got.out, what+"out")
				requireBits(t, want.lse, got.lse, what+"lse")
				requireBits(t, want.dqkv, got.dqkv, what+"dqkv")
			}
		}
	}
}

// TestBranchGradients compares with the definition on the whole sequences, of which only a segment's own rows count.
func TestBranchGradients(t *testing.T) {
	rng := newRand(81)
	for i := range 8 {
		b := randomBranches(rng, 60)
		if i == 0 {
			b = newBranches(segment{0, 300}, segment{290, 60}, segment{140, 130}, segment{0, 3}, segment{3, 270})
		}
		sh := randomShape(rng)
		width, hd := attnWidth(sh), sh.H*sh.D
		qkv, dout := normals[float64](rng, b.n*width), normals[float64](rng, b.n*hd)
		want := make([]float64, b.n*width)
		for s, slots := range b.sequences {
			own := gather(dout, hd, slots)
			clear(own[:b.segments[s].shared*hd])
			for k, x := range plainAttentionBackward(gather(qkv, width, slots), own, len(slots), sh) {
				want[slots[k/width]*width+k%width] += x
			}
		}
		requireClose(t, 1e-12, want, runBranches(b, qkv, dout, sh).dqkv, "float64")
		for _, level := range kern.Levels() {
			kern.SetLevel(t, level)
			requireClose(t, 2e-6, want, b.run(as[float32](qkv), as[float32](dout), sh).dqkv, level)
		}
	}
}

// TestBranchSeesItsSequenceOnly puts NaN into all that a branch does not see, and wants its rows to keep their bits.
func TestBranchSeesItsSequenceOnly(t *testing.T) {
	rng := newRand(82)
	sh := kern.AttnShape{H: 2, KV: 1, D: 16}
	b := newBranches(segment{0, 150}, segment{70, 40}, segment{0, 20}, segment{10, 300}, segment{15, 140})
	width, hd := attnWidth(sh), sh.H*sh.D
	qkv, dout := normals[float32](rng, b.n*width), make([]float32, b.n*hd)
	want := b.run(qkv, dout, sh)
	for s, slots := range b.sequences {
		dirty := filled(len(qkv), float32(math.NaN()))
		for _, slot := range slots {
			copy(dirty[slot*width:(slot+1)*width], qkv[slot*width:])
		}
		own := slots[b.segments[s].shared:]
		requireBits(t, gather(want.out, hd, own), gather(b.run(dirty, dout, sh).out, hd, own), fmt.Sprint("segment ", s))
	}
}

func TestBranchesAllocateNothing(t *testing.T) {
	if raceEnabled() {
		t.Skip("the race detector makes pools forget")
	}
	sh := kern.AttnShape{H: 4, KV: 2, D: 16}
	b := newBranches(segment{0, 70}, segment{30, 40}, segment{70, 300}, segment{0, 9})
	qkv, table := columns(b.n*attnWidth(sh), 1), backend.RoPETable[float32](512, sh.D, ropeTheta)
	out, lse, dqkv := make([]float32, b.n*sh.H*sh.D), make([]float32, b.n*sh.H), slices.Clone(qkv)
	require.Zero(t, testing.AllocsPerRun(20, func() { kern.Attention(out, lse, qkv, table, b.layout, b.shared, sh) }), "Attention")
	require.Zero(t, testing.AllocsPerRun(20, func() { kern.AttentionBackward(dqkv, qkv, table, out, lse, out, b.layout, b.shared, sh) }), "AttentionBackward")
}
