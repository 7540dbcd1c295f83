package kern_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/tame-rlhf/tame/internal/kern"
	"github.com/tame-rlhf/tame/pkg/backend"
)

// longShape is the attention of a model of 110 million parameters.
var longShape = kern.AttnShape{H: 12, KV: 12, D: 64}

// BenchmarkAttentionLong is one segment: nanoseconds and scratch memory per token.
func BenchmarkAttentionLong(b *testing.B) {
	sh := longShape
	for _, n := range []int{1024, 2048, 4096} {
		rng := newRand(1)
		layout, _ := layoutOf(n)
		qkv, table := normals[float32](rng, n*attnWidth(sh)), backend.RoPETable[float32](n, sh.D, ropeTheta)
		out, lse := make([]float32, n*sh.H*sh.D), make([]float32, n*sh.H)
		dqkv, dout := make([]float32, len(qkv)), normals[float32](rng, len(out))
		forward := func() { kern.Attention(out, lse, qkv, table, layout, nil, sh) }
		backward := func() { kern.AttentionBackward(dqkv, qkv, table, out, lse, dout, layout, nil, sh) }
		forward()
		for name, f := range map[string]func(){"Forward": forward, "Backward": backward} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				scratch := allocated(f)
				for b.Loop() {
					f()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/token")
				b.ReportMetric(float64(scratch)/float64(n), "scratch-B/token")
			})
		}
	}
}

// BenchmarkAttentionFromCache is one layer of decoding one token of one sequence.
func BenchmarkAttentionFromCache(b *testing.B) {
	sh := longShape
	for _, n := range []int{64, 1024, 4096} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			rng := newRand(1)
			kd := sh.KV * sh.D
			q, keys, v := normals[float32](rng, sh.H*sh.D), normals[float32](rng, kern.KeyCacheLen(n, sh)), normals[float32](rng, n*kd)
			out := make([]float32, sh.H*sh.D)
			b.SetBytes(int64(4 * 2 * n * kd))
			for b.Loop() {
				kern.AttentionFromCache(out, q, keys, v, 1, n, sh)
			}
		})
	}
}

// allocated is how many bytes f allocates when the pools of scratch memory are empty.
func allocated(f func()) uint64 {
	runtime.GC() // what a pool holds survives one collection
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
