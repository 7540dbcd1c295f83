package kern_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/kern"
	"github.com/tame-rlhf/tame/pkg/backend"
)

const ropeTheta = 10000

var attnShapes = []kern.AttnShape{
	{H: 2, KV: 2, D: 8}, {H: 4, KV: 2, D: 6}, {H: 3, KV: 1, D: 16}, {H: 1, KV: 1, D: 32},
	{H: 2, KV: 1, D: 8, Window: 5}, {H: 1, KV: 1, D: 16, Window: 100}, {H: 2, KV: 2, D: 6, Window: 256},
}

func attnWidth(sh kern.AttnShape) int { return (sh.H + 2*sh.KV) * sh.D }

// layoutOf is the table of segments of these lengths, with room for two more.
func layoutOf(lengths ...int) (layout []int32, n int) {
	layout = []int32{int32(len(lengths))}
	for _, l := range lengths {
		layout = append(layout, int32(n))
		n += l
	}
	return append(layout, int32(n), int32(n), int32(n)), n
}

// firstSeen is the first key that a query at position t sees.
func firstSeen(t int, sh kern.AttnShape) int {
	if sh.Window == 0 {
		return 0
	}
	return max(0, t-sh.Window+1)
}

// plainAttention is the definition, for one segment of n tokens.
func plainAttention(out, lse, qkv []float64, n int, sh kern.AttnShape) {
	d, width, group := sh.D, attnWidth(sh), sh.H/sh.KV
	x := append([]float64(nil), qkv...)
	for t := range n {
		plainRoPE(x[t*width:], sh.H+sh.KV, d, t, ropeTheta)
	}
	for t := range n {
		for h := range sh.H {
			p, sum := make([]float64, t+1), 0.0
			for u := firstSeen(t, sh); u <= t; u++ {
				q, k := x[t*width+h*d:][:d], x[u*width+(sh.H+h/group)*d:][:d]
				p[u] = math.Exp(dot64(q, k) / math.Sqrt(float64(d)))
				sum += p[u]
			}
			lse[t*sh.H+h] = math.Log(sum)
			for i := range d {
				s := 0.0
				for u := range p {
					s += p[u] / sum * x[u*width+(sh.H+sh.KV+h/group)*d+i]
				}
				out[(t*sh.H+h)*d+i] = s
			}
		}
	}
}

// attn holds the results of Attention and AttentionBackward.
type attn[T kern.Float] struct{ out, lse, dqkv []T }

// runAttention runs both on a batch, with two more slots than are used, and checks that those stay untouched.
func runAttention[T kern.Float](t *testing.T, qkv, dout []T, layout []int32, n int, sh kern.AttnShape) attn[T] {
	t.Helper()
	width, hd := attnWidth(sh), sh.H*sh.D
	table := backend.RoPETable[T](512, sh.D, ropeTheta)
	r := attn[T]{filled[T]((n+2)*hd, 7), filled[T]((n+2)*sh.H, 7), filled[T]((n+2)*width, 7)}
	kern.Attention(r.out, r.lse, qkv, table, layout, nil, sh)
	kern.AttentionBackward(r.dqkv, qkv, table, r.out, r.lse, dout, layout, nil, sh)
	requireBits(t, filled[T](2*hd, 7), r.out[n*hd:], "unused rows of out")
	requireBits(t, filled[T](2*sh.H, 7), r.lse[n*sh.H:], "unused rows of lse")
	requireBits(t, filled[T](2*width, 7), r.dqkv[n*width:], "unused rows of dqkv")
	return attn[T]{r.out[:n*hd], r.lse[:n*sh.H], r.dqkv[:n*width]}
}

func TestAttention(t *testing.T) {
	rng := newRand(60)
	lengths := []int{1, 2, 31, 64, 65, 130, 300}
	layout, n := layoutOf(lengths...)
	for _, sh := range attnShapes {
		width, hd := attnWidth(sh), sh.H*sh.D
		qkv, dout := normals[float64](rng, n*width), normals[float64](rng, n*hd)
		want := attn[float64]{make([]float64, n*hd), make([]float64, n*sh.H), nil}
		at := 0
		for _, l := range lengths {
			plainAttention(want.out[at*hd:], want.lse[at*sh.H:], qkv[at*width:(at+l)*width], l, sh)
			at += l
		}
		got := runAttention(t, qkv, dout, layout, n, sh)
		requireClose(t, 1e-13, want.out, got.out, "out")
		requireClose(t, 1e-13, want.lse, got.lse, "lse")
		got32 := runAttention(t, as[float32](qkv), as[float32](dout), layout, n, sh)
		requireClose(t, 1e-6, want.out, got32.out, "out in float32")
		requireClose(t, 1e-6, want.lse, got32.lse, "lse in float32")
		requireClose(t, 2e-6, got.dqkv, got32.dqkv, "dqkv in float32")
	}
}

func TestAttentionBackward(t *testing.T) {
	rng := newRand(61)
	for _, sh := range []kern.AttnShape{{H: 2, KV: 1, D: 2}, {H: 1, KV: 1, D: 4}, {H: 2, KV: 1, D: 2, Window: 30}} {
		layout, n := layoutOf(1, 3, 70)
		width, hd := attnWidth(sh), sh.H*sh.D
		qkv, dout := normals[float64](rng, n*width), normals[float64](rng, n*hd)
		got := runAttention(t, qkv, dout, layout, n, sh)
		out, lse := make([]float64, n*hd), make([]float64, n*sh.H)
		requireGrad(t, qkv, got.dqkv, func() float64 {
			for at, l := range map[int]int{0: 1, 1: 3, 4: 70} {
				plainAttention(out[at*hd:], lse, qkv[at*width:(at+l)*width], l, sh)
			}
			return dot64(out, dout)
		}, "dqkv")
	}
}

// TestAttentionBits wants a segment to have the same bits alone and packed with others, on one thread and on two, and a prefix
// of it the same bits as the whole.
func TestAttentionBits(t *testing.T) {
	eachType(t, testAttentionBits[float32], testAttentionBits[float64])
}

func testAttentionBits[T kern.Float](t *testing.T) {
	rng := newRand(62)
	lengths := []int{3, 300, 64, 1, 77}
	layout, n := layoutOf(lengths...)
	for _, sh := range attnShapes {
		width, hd := attnWidth(sh), sh.H*sh.D
		qkv, dout := normals[T](rng, n*width), normals[T](rng, n*hd)
		one, all := onThreads(func() attn[T] { return runAttention(t, qkv, dout, layout, n, sh) })
		requireBits(t, one.out, all.out, "out on two threads")
		requireBits(t, one.lse, all.lse, "lse on two threads")
		requireBits(t, one.dqkv, all.dqkv, "dqkv on two threads")
		at := 0
		for _, l := range lengths {
			lay, _ := layoutOf(l)
			alone := runAttention(t, qkv[at*width:], dout[at*hd:], lay, l, sh)
			requireBits(t, alone.out, all.out[at*hd:(at+l)*hd], "out of a segment alone")
			requireBits(t, alone.lse, all.lse[at*sh.H:(at+l)*sh.H], "lse of a segment alone")
			requireBits(t, alone.dqkv, all.dqkv[at*width:(at+l)*width], "dqkv of a segment alone")
			for _, cut := range []int{1, 2, 17, 33, 63, 64, 65, 100, 129, 255, 256, 257, 299} {
				if cut < l {
					lay, _ := layoutOf(cut)
					prefix := runAttention(t, qkv[at*width:], dout[at*hd:], lay, cut, sh)
					requireBits(t, prefix.out, all.out[at*hd:(at+cut)*hd], "out of a prefix")
				}
			}
			at += l
		}
	}
}

// TestAttentionFromCache feeds one sequence token by token, and in chunks, through a cache and wants Attention's bits.
func TestAttentionFromCache(t *testing.T) {
	eachType(t, testAttentionFromCache[float32], testAttentionFromCache[float64])
}

func testAttentionFromCache[T kern.Float](t *testing.T) {
	rng := newRand(63)
	const n = 300
	layout, _ := layoutOf(n)
	for _, sh := range attnShapes {
		width, hd := attnWidth(sh), sh.H*sh.D
		qkv, table := normals[T](rng, n*width), backend.RoPETable[T](n, sh.D, ropeTheta)
		want, got := make([]T, n*hd), make([]T, n*hd)
		kern.Attention(want, nil, qkv, table, layout, nil, sh)

		c := newCached[T](n, sh)
		for pos := range n {
			c.add(pos, qkv[pos*width:][:width], table[pos*sh.D:][:sh.D])
			kern.AttentionFromCache(got[pos*hd:], c.q[pos*hd:], c.k, c.v, 1, pos+1, sh)
		}
		requireBits(t, want, got, "token by token")
		for _, chunk := range []int{1, 5, 64, 100, n} {
			clear(got)
			for at := 0; at < n; at += chunk {
				m := min(chunk, n-at)
				kern.AttentionFromCache(got[at*hd:], c.q[at*hd:], c.k, c.v, m, at+m, sh)
			}
			requireBits(t, want, got, caseName(chunk))
		}
	}
}

// TestAttentionIsCausal puts NaN, infinities and huge numbers into later tokens: earlier rows keep their bits.
func TestAttentionIsCausal(t *testing.T) {
	rng := newRand(64)
	sh := kern.AttnShape{H: 2, KV: 1, D: 8}
	const n, cut = 100, 40
	layout, _ := layoutOf(n)
	width, hd := attnWidth(sh), sh.H*sh.D
	qkv := normals[float32](rng, n*width)
	table := backend.RoPETable[float32](n, sh.D, ropeTheta)
	run := func() ([]float32, []float32) {
		out, lse := make([]float32, n*hd), make([]float32, n*sh.H)
		kern.Attention(out, lse, qkv, table, layout, nil, sh)
		return out, lse
	}
	want, wantLSE := run()
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e30} {
		for i := cut * width; i < n*width; i++ {
			qkv[i] = float32(bad)
		}
		out, lse := run()
		requireBits(t, want[:cut*hd], out[:cut*hd], "out before the bad tokens")
		requireBits(t, wantLSE[:cut*sh.H], lse[:cut*sh.H], "lse before the bad tokens")
	}
}

// noRotation is a table of angle 0 for heads of two numbers.
func noRotation(n int) []float32 {
	table := make([]float32, 2*n)
	for t := range n {
		table[2*t] = 1
	}
	return table
}

func TestAttentionOfHugeScores(t *testing.T) {
	// The running maximum keeps exp from overflowing: one key wins by far.
	sh := kern.AttnShape{H: 1, KV: 1, D: 2}
	const n = 70
	layout, _ := layoutOf(n)
	qkv := make([]float32, n*6)
	for t := range n {
		copy(qkv[t*6:], []float32{1e4, 0, 1e4 * float32(t%3), 0, float32(t), 1})
	}
	out, lse := make([]float32, n*2), make([]float32, n)
	kern.Attention(out, lse, qkv, noRotation(n), layout, nil, sh)
	// Keys 2, 5, 8, ..., 68 tie: the mean of their values.
	require.InDelta(t, 35, out[(n-1)*2], 1e-4)
	require.InDelta(t, 1, out[(n-1)*2+1], 1e-6)
}

// TestAttentionRemembersTheGreatest puts the winning key into the first block: what later blocks add is nothing beside it.
func TestAttentionRemembersTheGreatest(t *testing.T) {
	sh := kern.AttnShape{H: 1, KV: 1, D: 2}
	const n = 2*kern.AttnBlock + 5
	layout, _ := layoutOf(n)
	qkv := make([]float32, n*6)
	for t := range n {
		copy(qkv[t*6:], []float32{1e3, 0, -1e3, 0, 5, 6})
	}
	copy(qkv[2:], []float32{1e3, 0, 7, 8}) // token 0
	out, lse := make([]float32, n*2), make([]float32, n)
	kern.Attention(out, lse, qkv, noRotation(n), layout, nil, sh)
	for i := range n {
		require.Equal(t, []float32{7, 8}, out[2*i:2*i+2], "row %d", i)
	}
}

func TestAttentionOfEmptySegments(t *testing.T) {
	sh := attnShapes[1]
	width, hd := attnWidth(sh), sh.H*sh.D
	qkv, dout := normals[float32](newRand(66), 12*width), normals[float32](newRand(67), 12*hd)
	layout, n := layoutOf(5, 7)
	want := runAttention(t, qkv, dout, layout, n, sh)
	layout, n = layoutOf(0, 5, 0, 7, 0)
	got := runAttention(t, qkv, dout, layout, n, sh)
	requireBits(t, want.out, got.out, "out")
	requireBits(t, want.dqkv, got.dqkv, "dqkv")
	table := backend.RoPETable[float32](8, sh.D, ropeTheta)
	kern.Attention(want.out, want.lse, qkv, table, layout, nil, sh) // no slot behind the last segment
	kern.AttentionBackward(want.dqkv, qkv, table, want.out, want.lse, dout, layout, nil, sh)
}

func TestAttentionWithoutLSE(t *testing.T) {
	rng := newRand(65)
	sh := attnShapes[1]
	const n = 70
	layout, _ := layoutOf(n)
	qkv, table := normals[float32](rng, n*attnWidth(sh)), backend.RoPETable[float32](n, sh.D, ropeTheta)
	want, got, lse := make([]float32, n*sh.H*sh.D), make([]float32, n*sh.H*sh.D), make([]float32, n*sh.H)
	kern.Attention(want, lse, qkv, table, layout, nil, sh)
	kern.Attention(got, nil, qkv, table, layout, nil, sh)
	requireBits(t, want, got, "out")
}
