package kern_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/kern"
	"github.com/tame-rlhf/tame/pkg/backend"
)

// randomShape is a shape of up to 6 query heads.
func randomShape(rng *rand.Rand) kern.AttnShape {
	kv := 1 + rng.IntN(3)
	return kern.AttnShape{
		H: kv * (1 + rng.IntN(6/kv)), KV: kv, D: []int{2, 16, 32, 48, 64, 80, 128}[rng.IntN(7)], Window: []int{0, 0, 1, 30, 128, 270}[rng.IntN(6)],
	}
}

// cached holds a sequence the way a decoder does.
type cached[T kern.Float] struct {
	sh      kern.AttnShape
	q, k, v []T
}

// newCached has room for more than n tokens. Room that is not used holds NaN.
func newCached[T kern.Float](n int, sh kern.AttnShape) cached[T] {
	nan := T(math.NaN())
	return cached[T]{sh, make([]T, n*sh.H*sh.D), filled(kern.KeyCacheLen(n+9, sh), nan), filled((n+9)*sh.KV*sh.D, nan)}
}

// add takes the row q|k|v of the token at position pos apart and rotates it by a row of the table.
func (c *cached[T]) add(pos int, row, turn []T) {
	sh, hd, kd := c.sh, c.sh.H*c.sh.D, c.sh.KV*c.sh.D
	q, k := c.q[pos*hd:][:hd], append([]T(nil), row[hd:][:kd]...)
	copy(q, row)
	kern.RoPE(q, sh.H, sh.D, turn)
	kern.RoPE(k, sh.KV, sh.D, turn)
	kern.CacheKey(c.k, pos, k, sh)
	copy(c.v[pos*kd:][:kd], row[hd+kd:])
}

// cache holds n tokens.
func cache[T kern.Float](qkv, table []T, n int, sh kern.AttnShape) cached[T] {
	c, width := newCached[T](n, sh), attnWidth(sh)
	for pos := range n {
		c.add(pos, qkv[pos*width:][:width], table[pos*sh.D:][:sh.D])
	}
	return c
}

// TestAttentionShapes wants the same bits of Attention, and of single tokens and chunks from a cache.
func TestAttentionShapes(t *testing.T) {
	for _, level := range kern.Levels() {
		t.Run(level, func(t *testing.T) {
			kern.SetLevel(t, level)
			eachType(t, testAttentionShapes[float32], testAttentionShapes[float64])
		})
	}
}

func testAttentionShapes[T kern.Float](t *testing.T) {
	rng := newRand(70)
	for range 5 {
		sh := randomShape(rng)
		n := 1 + rng.IntN(300)
		layout, _ := layoutOf(n)
		hd := sh.H * sh.D
		qkv, table := normals[T](rng, n*attnWidth(sh)), backend.RoPETable[T](n, sh.D, ropeTheta)
		want, got := make([]T, n*hd), make([]T, n*hd)
		kern.Attention(want, nil, qkv, table, layout, nil, sh)
		c := cache(qkv, table, n, sh)
		for at := 0; at < n; {
			m := min(n-at, []int{1, 1, 2, 30, 100}[rng.IntN(5)])
			kern.AttentionFromCache(got[at*hd:], c.q[at*hd:], c.k, c.v, m, at+m, sh)
			requireBits(t, want[at*hd:(at+m)*hd], got[at*hd:(at+m)*hd], fmt.Sprintf("%+v: chunk of %d at %d", sh, m, at))
			kern.AttentionFromCache(got[at*hd:], c.q[at*hd:], c.k, c.v, 1, at+1, sh)
			requireBits(t, want[at*hd:(at+1)*hd], got[at*hd:(at+1)*hd], fmt.Sprintf("%+v: token %d", sh, at))
			at += m
		}
	}
}

// plainAttentionBackward is the derivative by the definition, for one segment of n tokens.
func plainAttentionBackward(qkv, dout []float64, n int, sh kern.AttnShape) []float64 {
	d, width, group := sh.D, attnWidth(sh), sh.H/sh.KV
	x, dx := append([]float64(nil), qkv...), make([]float64, n*width)
	for t := range n {
		plainRoPE(x[t*width:], sh.H+sh.KV, d, t, ropeTheta)
	}
	p, dp := make([]float64, n), make([]float64, n)
	for t := range n {
		for h := range sh.H {
			qc, kc, vc := t*width+h*d, (sh.H+h/group)*d, (sh.H+sh.KV+h/group)*d
			do := dout[(t*sh.H+h)*d:][:d]
			sum, mean := 0.0, 0.0
			from := firstSeen(t, sh)
			for u := from; u <= t; u++ {
				p[u] = math.Exp(dot64(x[qc:][:d], x[u*width+kc:][:d]) / math.Sqrt(float64(d)))
				dp[u] = dot64(do, x[u*width+vc:][:d])
				sum += p[u]
			}
			for u := from; u <= t; u++ {
				p[u] /= sum
				mean += p[u] * dp[u]
			}
			for u := from; u <= t; u++ {
				ds := p[u] * (dp[u] - mean) / math.Sqrt(float64(d))
				for i := range d {
					dx[qc+i] += ds * x[u*width+kc+i]
					dx[u*width+kc+i] += ds * x[qc+i]
					dx[u*width+vc+i] += p[u] * do[i]
				}
			}
		}
	}
	for t := range n { // turned back: by the negative angle
		plainRoPE(dx[t*width:], sh.H+sh.KV, d, -t, ropeTheta)
	}
	return dx
}

func TestAttentionGradients(t *testing.T) {
	for _, level := range kern.Levels() {
		t.Run(level, func(t *testing.T) {
			kern.SetLevel(t, level)
			rng := newRand(71)
			for i := range 3 {
				sh := randomShape(rng)
				lengths := []int{1 + rng.IntN(300), 1 + rng.IntN(30), 1 + rng.IntN(100)}
				switch i {
				case 0:
					sh.D = kern.KC + 44
				case 1:
					sh.Window, lengths[0] = 30, 450 // the last block of queries sees nothing of the first block of keys
				}
				layout, n := layoutOf(lengths...)
				width, hd := attnWidth(sh), sh.H*sh.D
				qkv, dout := normals[float64](rng, n*width), normals[float64](rng, n*hd)
				var want []float64
				at := 0
				for _, l := range lengths {
					want = append(want, plainAttentionBackward(qkv[at*width:(at+l)*width], dout[at*hd:], l, sh)...)
					at += l
				}
				requireClose(t, 1e-12, want, runAttention(t, qkv, dout, layout, n, sh).dqkv, "float64")
				requireClose(t, 2e-6, want, runAttention(t, as[float32](qkv), as[float32](dout), layout, n, sh).dqkv, "float32")
			}
		})
	}
}

// TestAttentionCuts wants the same bits whether segments are cut into several tasks or not.
func TestAttentionCuts(t *testing.T) {
	rng := newRand(72)
	for _, lengths := range [][]int{{700}, {3, 700, 0, 300}, {256}, {512}, {257}} {
		for _, sh := range []kern.AttnShape{{H: 1, KV: 1, D: 16}, {H: 4, KV: 2, D: 8}, {H: 3, KV: 3, D: 4}, {H: 2, KV: 1, D: 8, Window: 300}} {
			layout, n := layoutOf(lengths...)
			qkv, dout := normals[float32](rng, n*attnWidth(sh)), normals[float32](rng, n*sh.H*sh.D)
			table := backend.RoPETable[float32](1024, sh.D, ropeTheta)
			run := func(procs int) attn[float32] {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
				r := attn[float32]{make([]float32, n*sh.H*sh.D), make([]float32, n*sh.H), filled[float32](len(qkv), 7)}
				kern.Attention(r.out, r.lse, qkv, table, layout, nil, sh)
				kern.AttentionBackward(r.dqkv, qkv, table, r.out, r.lse, dout, layout, nil, sh)
				return r
			}
			one := run(1)
			for _, procs := range []int{2, 3, 8} {
				many := run(procs)
				requireBits(t, one.out, many.out, "out")
				requireBits(t, one.lse, many.lse, "lse")
				requireBits(t, one.dqkv, many.dqkv, "dqkv")
			}
		}
	}
}

// TestAttentionMemory: scratch memory is linear in the length of a segment, and so many numbers per token for each goroutine, whatever the
// number of heads.
func TestAttentionMemory(t *testing.T) {
	if raceEnabled() {
		t.Skip("the race detector makes pools forget")
	}
	const procs, perToken, fixed = 2, 8, 2 << 20 // pools round up to powers of 2
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
	sh := kern.AttnShape{H: 4, KV: 4, D: 16}
	for _, n := range []int{1024, 4096} {
		layout, _ := layoutOf(n)
		qkv, table := columns(n*attnWidth(sh), 1), backend.RoPETable[float32](n, sh.D, ropeTheta)
		out, lse, dqkv := make([]float32, n*sh.H*sh.D), make([]float32, n*sh.H), make([]float32, len(qkv))
		bound := uint64(procs*(perToken*n*sh.D*4) + fixed)
		assert.Less(t, allocated(func() { kern.Attention(out, lse, qkv, table, layout, nil, sh) }), bound)
		assert.Less(t, allocated(func() { kern.AttentionBackward(dqkv, qkv, table, out, lse, out, layout, nil, sh) }), bound)
	}
}

func TestAttentionAllocatesNothing(t *testing.T) {
	if raceEnabled() {
		t.Skip("the race detector makes pools forget")
	}
	sh := kern.AttnShape{H: 4, KV: 2, D: 16}
	layout, n := layoutOf(70, 300)
	qkv, table := columns(n*attnWidth(sh), 1), backend.RoPETable[float32](n, sh.D, ropeTheta)
	out, lse, dqkv := make([]float32, n*sh.H*sh.D), make([]float32, n*sh.H), make([]float32, len(qkv))
	c := cache(qkv, table, n, sh)
	require.Zero(t, testing.AllocsPerRun(20, func() { kern.Attention(out, lse, qkv, table, layout, nil, sh) }), "Attention")
	require.Zero(t, testing.AllocsPerRun(20, func() { kern.AttentionBackward(dqkv, qkv, table, out, lse, out, layout, nil, sh) }), "AttentionBackward")
	require.Zero(t, testing.AllocsPerRun(20, func() { kern.AttentionFromCache(out, c.q, c.k, c.v, 9, 100, sh) }), "AttentionFromCache")
	sh.Window = 50
	require.Zero(t, testing.AllocsPerRun(20, func() { kern.AttentionFromCache(out, c.q, c.k, c.v, 9, 100, sh) }), "with a window")
}

func raceEnabled() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
