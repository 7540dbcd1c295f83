package kern_test

import (
	"testing"

	"github.com/tame-rlhf/tame/internal/kern"
	"github.com/tame-rlhf/tame/internal/parallel"
	"github.com/tame-rlhf/tame/pkg/backend"
)

// The benchmarks are one micro-batch of a small model: 2048 tokens in segments of 64, width 128, 4 heads of 32, hidden
// width 352, vocabulary 640. Compare with the matrix products of a layer, BenchmarkLayerGemms.
const benchN, benchC, benchF, benchV = 2048, 128, 352, 640

var benchShape = kern.AttnShape{H: 4, KV: 4, D: 32}

func benchLayout() []int32 {
	lengths := make([]int, benchN/64)
	for i := range lengths {
		lengths[i] = 64
	}
	layout, _ := layoutOf(lengths...)
	return layout
}

func BenchmarkLayerGemms(b *testing.B) {
	rng := newRand(1)
	x, y, w := normals[float32](rng, benchN*2*benchF), make([]float32, benchN*2*benchF), normals[float32](rng, 2*benchF*benchC)
	for b.Loop() {
		for _, s := range [][2]int{{3 * benchC, benchC}, {benchC, benchC}, {2 * benchF, benchC}, {benchC, benchF}} {
			kern.Gemm(false, true, benchN, s[0], s[1], 1, x, s[1], w, s[1], 0, y, s[0])
		}
	}
}

func BenchmarkLayerGemmsBackward(b *testing.B) {
	rng := newRand(1)
	x, y, w := normals[float32](rng, benchN*2*benchF), normals[float32](rng, benchN*2*benchF), normals[float32](rng, 2*benchF*benchC)
	dx, dw := make([]float32, benchN*2*benchF), make([]float32, 2*benchF*benchC)
	for b.Loop() {
		for _, s := range [][2]int{{3 * benchC, benchC}, {benchC, benchC}, {2 * benchF, benchC}, {benchC, benchF}} {
			kern.Gemm(false, false, benchN, s[1], s[0], 1, y, s[0], w, s[1], 0, dx, s[1])
			kern.Gemm(true, false, s[0], s[1], benchN, 1, y, s[0], x, s[1], 0, dw, s[1])
		}
	}
}

func BenchmarkLogitGemm(b *testing.B) {
	rng := newRand(1)
	h, w, z := normals[float32](rng, benchN*benchC), normals[float32](rng, benchV*benchC), make([]float32, benchN*benchV)
	for b.Loop() {
		kern.Gemm(false, true, benchN, benchV, benchC, 1, h, benchC, w, benchC, 0, z, benchV)
	}
}

func BenchmarkRMSNorm(b *testing.B) {
	rng := newRand(1)
	x, w, out := normals[float32](rng, benchN*benchC), normals[float32](rng, benchC), make([]float32, benchN*benchC)
	for b.Loop() {
		kern.RMSNorm(out, x, w, benchN, benchC, 1e-5)
	}
}

func BenchmarkRMSNormBackward(b *testing.B) {
	rng := newRand(1)
	x, w, dout := normals[float32](rng, benchN*benchC), normals[float32](rng, benchC), normals[float32](rng, benchN*benchC)
	dx, dw := make([]float32, benchN*benchC), make([]float32, benchC)
	for b.Loop() {
		kern.RMSNormBackward(dx, dw, x, w, dout, benchN, benchC, 1e-5, false)
	}
}

func BenchmarkSwiGLU(b *testing.B) {
	gu, out := normals[float32](newRand(1), benchN*2*benchF), make([]float32, benchN*benchF)
	for b.Loop() {
		kern.SwiGLU(out, gu, benchN, benchF)
	}
}

func BenchmarkSwiGLUBackward(b *testing.B) {
	rng := newRand(1)
	gu, dout, dgu := normals[float32](rng, benchN*2*benchF), normals[float32](rng, benchN*benchF), make([]float32, benchN*2*benchF)
	for b.Loop() {
		kern.SwiGLUBackward(dgu, gu, dout, benchN, benchF)
	}
}

func BenchmarkAdd(b *testing.B) {
	rng := newRand(1)
	x, y, out := normals[float32](rng, benchN*benchC), normals[float32](rng, benchN*benchC), make([]float32, benchN*benchC)
	for b.Loop() {
		kern.Add(out, x, y)
	}
}

func BenchmarkEmbed(b *testing.B) {
	rng := newRand(1)
	w, out, tokens := normals[float32](rng, benchV*benchC), make([]float32, benchN*benchC), benchTokens()
	for b.Loop() {
		kern.Embed(out, w, tokens, benchN, benchC)
	}
}

func BenchmarkEmbedBackward(b *testing.B) {
	rng := newRand(1)
	dw, dout, tokens := make([]float32, benchV*benchC), normals[float32](rng, benchN*benchC), benchTokens()
	for b.Loop() {
		kern.EmbedBackward(dw, dout, tokens, benchN, benchC, benchV, false)
	}
}

func benchTokens() []int32 {
	rng, tokens := newRand(2), make([]int32, benchN)
	for i := range tokens {
		tokens[i] = int32(rng.IntN(benchV))
	}
	return tokens
}

func BenchmarkAttention(b *testing.B) {
	sh, layout := benchShape, benchLayout()
	qkv, table := normals[float32](newRand(1), benchN*attnWidth(sh)), backend.RoPETable[float32](64, sh.D, ropeTheta)
	out, lse := make([]float32, benchN*sh.H*sh.D), make([]float32, benchN*sh.H)
	for b.Loop() {
		kern.Attention(out, lse, qkv, table, layout, nil, sh)
	}
}

func BenchmarkAttentionBackward(b *testing.B) {
	sh, layout := benchShape, benchLayout()
	rng := newRand(1)
	qkv, table := normals[float32](rng, benchN*attnWidth(sh)), backend.RoPETable[float32](64, sh.D, ropeTheta)
	out, lse := make([]float32, benchN*sh.H*sh.D), make([]float32, benchN*sh.H)
	dqkv, dout := make([]float32, len(qkv)), normals[float32](rng, len(out))
	kern.Attention(out, lse, qkv, table, layout, nil, sh)
	for b.Loop() {
		kern.AttentionBackward(dqkv, qkv, table, out, lse, dout, layout, nil, sh)
	}
}

// BenchmarkAttentionStep is one decoding step of one layer for 32 sequences of 64 tokens.
func BenchmarkAttentionStep(b *testing.B) {
	sh := benchShape
	rng := newRand(1)
	q, out := normals[float32](rng, sh.H*sh.D), make([]float32, sh.H*sh.D)
	keys, v := normals[float32](rng, kern.KeyCacheLen(64, sh)), normals[float32](rng, 64*sh.KV*sh.D)
	for b.Loop() {
		for range 32 {
			kern.AttentionFromCache(out, q, keys, v, 1, 64, sh)
		}
	}
}

// benchLogProbs counts every row.
func benchLogProbs() logProbCase[float32] {
	k := newLogProbCase[float32](1, benchN, benchC, benchV, 1)
	for r := range k.counted {
		k.counted[r], k.targets[r], k.dlogp[r], k.dent[r] = 1, int32(r%benchV), 1, 0.01
	}
	return k
}

func BenchmarkTokenLogProbs(b *testing.B) {
	k := benchLogProbs()
	logp, lse := make([]float32, k.rows), make([]float32, k.rows)
	for b.Loop() {
		kern.TokenLogProbs(logp, lse, nil, nil, k.h, k.w, k.targets, k.counted, k.temp, k.rows, k.c, k.v)
	}
}

func BenchmarkTokenLogProbsBackward(b *testing.B) {
	k := benchLogProbs()
	lse, dh, dw := make([]float32, k.rows), make([]float32, k.rows*k.c), make([]float32, k.v*k.c)
	kern.TokenLogProbs(nil, lse, nil, nil, k.h, k.w, k.targets, k.counted, k.temp, k.rows, k.c, k.v)
	for b.Loop() {
		kern.TokenLogProbsBackward(dh, dw, k.h, k.w, k.targets, k.counted, k.temp, lse, nil, k.dlogp, nil, k.rows, k.c, k.v, false)
	}
}

// BenchmarkAdamW updates a million parameters.
func BenchmarkAdamW(b *testing.B) {
	rng := newRand(1)
	p, g, m, v := normals[float32](rng, 1<<20), normals[float32](rng, 1<<20), make([]float32, 1<<20), make([]float32, 1<<20)
	for b.Loop() {
		kern.AdamW(p, g, m, v, 1e-3, 0.9, 0.95, 1e-5, 0.1, 0.1, 0.05, 1)
	}
}

func BenchmarkSumSquares(b *testing.B) {
	x := normals[float32](newRand(1), 1<<20)
	for b.Loop() {
		kern.SumSquares(x)
	}
}

// BenchmarkReadBandwidth sums up 412 MB, the weights that a model of 110 million reads for a token: what bounds decoding.
func BenchmarkReadBandwidth(b *testing.B) {
	x := make([]float32, 103<<20)
	for i := range x {
		x[i] = float32(i & 7)
	}
	b.SetBytes(int64(4 * len(x)))
	for b.Loop() {
		parallel.For(len(x), 1<<16, func(lo, hi int) { kern.Sum(x[lo:hi]) })
	}
}
