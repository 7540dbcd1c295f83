package kern_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/tame-rlhf/tame/internal/kern"
	"github.com/tame-rlhf/tame/pkg/backend"
)

// A window as long as the sequence changes no bit.
func TestWindowOfAllTokens(t *testing.T) {
	rng := newRand(110)
	sh := kern.AttnShape{H: 4, KV: 2, D: 16}
	layout, n := layoutOf(300, 40)
	qkv, dout := normals[float32](rng, n*attnWidth(sh)), normals[float32](rng, n*sh.H*sh.D)
	want := runAttention(t, qkv, dout, layout, n, sh)
	sh.Window = 300
	got := runAttention(t, qkv, dout, layout, n, sh)
	requireBits(t, want.out, got.out, "out")
	requireBits(t, want.lse, got.lse, "lse")
	requireBits(t, want.dqkv, got.dqkv, "dqkv")
}

// A row whose window is full has the bits that it has without one; what lies before a window does not matter, not even NaN.
func TestWindowHides(t *testing.T) {
	rng := newRand(111)
	const n, window = 700, 130
	sh := kern.AttnShape{H: 2, KV: 1, D: 16, Window: window}
	layout, _ := layoutOf(n)
	width, hd := attnWidth(sh), sh.H*sh.D
	qkv, table := normals[float32](rng, n*width), backend.RoPETable[float32](n, sh.D, ropeTheta)
	run := func(sh kern.AttnShape) (out, lse, cached []float32) {
		out, lse, cached = make([]float32, n*hd), make([]float32, n*sh.H), make([]float32, n*hd)
		kern.Attention(out, lse, qkv, table, layout, nil, sh)
		c := cache(qkv, table, n, sh)
		for pos := range n {
			kern.AttentionFromCache(cached[pos*hd:], c.q[pos*hd:], c.k, c.v, 1, pos+1, sh)
		}
		return out, lse, cached
	}
	want, wantLSE, wantCached := run(sh)
	requireBits(t, want, wantCached, "from the cache")
	full, fullLSE, _ := run(kern.AttnShape{H: sh.H, KV: sh.KV, D: sh.D})
	requireBits(t, full[:window*hd], want[:window*hd], "rows that see everything")
	requireBits(t, fullLSE[:window*sh.H], wantLSE[:window*sh.H], "lse of rows that see everything")
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e30} {
		const hidden = 333 // tokens, so that the rest of their block is seen
		for i := range hidden * width {
			qkv[i] = float32(bad)
		}
		out, lse, cached := run(sh)
		from := hidden + window - 1
		requireBits(t, want[from*hd:], out[from*hd:], "rows whose windows begin after the bad tokens")
		requireBits(t, wantLSE[from*sh.H:], lse[from*sh.H:], "their lse")
		requireBits(t, want[from*hd:], cached[from*hd:], "from the cache")
	}
}

// BenchmarkAttentionWindow is one segment of 4096 tokens, without a window and with some.
func BenchmarkAttentionWindow(b *testing.B) {
	const n = 4096
	for _, window := range []int{0, 4095, 2048, 512, 64} {
		sh := longShape
		sh.Window = window
		rng := newRand(1)
		layout, _ := layoutOf(n)
		qkv, table := normals[float32](rng, n*attnWidth(sh)), backend.RoPETable[float32](n, sh.D, ropeTheta)
		out, lse := make([]float32, n*sh.H*sh.D), make([]float32, n*sh.H)
		dqkv, dout := make([]float32, len(qkv)), normals[float32](rng, len(out))
		b.Run(fmt.Sprintf("Forward/%d", window), func(b *testing.B) {
			for b.Loop() {
				kern.Attention(out, lse, qkv, table, layout, nil, sh)
			}
		})
		b.Run(fmt.Sprintf("Backward/%d", window), func(b *testing.B) {
			for b.Loop() {
				kern.AttentionBackward(dqkv, qkv, table, out, lse, dout, layout, nil, sh)
			}
		})
		c := cache(qkv, table, n, sh)
		b.Run(fmt.Sprintf("Decode/%d", window), func(b *testing.B) {
			for b.Loop() {
				kern.AttentionFromCache(out, c.q, c.k, c.v, 1, n, sh)
			}
		})
	}
}
