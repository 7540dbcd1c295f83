package kern_test

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/kern"
)

// memory gives n numbers to a kernel. Tests pass memory with guard pages around it.
type memory func(n int) []float32

// rowKernel runs a kernel with assembly of its own over n columns, on memory of mem, and returns everything it writes.
type rowKernel struct {
	run func(mem memory, n int) []float32
	// bits says that portable Go gives the same bits: everything without exponentials and fused products.
	bits bool
}

var rowKernels = map[string]rowKernel{
	"Sum": {func(mem memory, n int) []float32 { return []float32{kern.Sum(fill(mem, n, 1))} }, true},
	"Dot": {func(mem memory, n int) []float32 { return []float32{kern.Dot(fill(mem, n, 1), fill(mem, n, 2))} }, true},
	"SumSquares": {func(mem memory, n int) []float32 {
		return []float32{float32(kern.SumSquares(fill(mem, n, 1)))}
	}, true},
	"Max": {func(mem memory, n int) []float32 { return []float32{kern.Max(fill(mem, n, 1))} }, true},
	"Add": {func(mem memory, n int) []float32 {
		x := fill(mem, n, 9)
		kern.Add(x, fill(mem, n, 1), fill(mem, n, 2))
		return x
	}, true},
	"Scale": {func(mem memory, n int) []float32 {
		x := fill(mem, n, 9)
		kern.Scale(x, 1.7)
		return x
	}, true},
	"Axpy": {func(mem memory, n int) []float32 {
		x := fill(mem, n, 9)
		kern.Axpy(x, 1.7, fill(mem, n, 1))
		return x
	}, true},
	"RMSNorm": {func(mem memory, n int) []float32 {
		x := fill(mem, n, 9)
		kern.RMSNorm(x, fill(mem, n, 1), fill(mem, n, 2), 1, n, normEps)
		return x
	}, true},
	"RMSNormBackward": {func(mem memory, n int) []float32 {
		dx, dw := fill(mem, n, 9), fill(mem, n, 10)
		kern.RMSNormBackward(dx, dw, fill(mem, n, 1), fill(mem, n, 2), fill(mem, n, 3), 1, n, normEps, true)
		return slices.Concat(dx, dw)
	}, true},
	"RoPE": {func(mem memory, n int) []float32 {
		x := fill(mem, 2*n, 9)
		kern.RoPE(x, 1, 2*n, fill(mem, 2*n, 1))
		return x
	}, true},
	"RoPEBackward": {func(mem memory, n int) []float32 {
		x := fill(mem, 2*n, 9)
		kern.RoPEBackward(x, 1, 2*n, fill(mem, 2*n, 1))
		return x
	}, true},
	"AdamW": {func(mem memory, n int) []float32 {
		p, m, v := fill(mem, n, 9), fill(mem, n, 10), fill(mem, n, 11)
		for i := range v {
			v[i] *= v[i]
		}
		kern.AdamW(p, fill(mem, n, 1), m, v, 1e-2, 0.9, 0.95, 1e-5, 0.1, 0.3, 0.2, 0.5)
		return slices.Concat(p, m, v)
	}, true},
	"Embed": {func(mem memory, n int) []float32 {
		x := fill(mem, 2*n, 9)
		kern.Embed(x, fill(mem, 3*n, 1), []int32{2, 0}, 2, n)
		return x
	}, true},
	"EmbedBackward": {func(mem memory, n int) []float32 {
		dw := fill(mem, 3*n, 9)
		kern.EmbedBackward(dw, fill(mem, 2*n, 1), []int32{2, 2}, 2, n, 3, false)
		return dw
	}, true},
	"Exp": {func(mem memory, n int) []float32 {
		x := fill(mem, n, 9)
		kern.Exp(x, fill(mem, n, 1))
		return x
	}, false},
	"LogSumExp": {func(mem memory, n int) []float32 {
		if n == 0 {
			return nil // -Inf
		}
		return []float32{kern.LogSumExp(fill(mem, n, 1))}
	}, false},
	"SwiGLU": {func(mem memory, n int) []float32 {
		x := fill(mem, n, 9)
		kern.SwiGLU(x, fill(mem, 2*n, 1), 1, n)
		return x
	}, false},
	"SwiGLUBackward": {func(mem memory, n int) []float32 {
		x := fill(mem, 2*n, 9)
		kern.SwiGLUBackward(x, fill(mem, 2*n, 1), fill(mem, n, 2), 1, n)
		return x
	}, false},
	"Gemm": {func(mem memory, n int) []float32 {
		c := fill(mem, 3*n, 9)
		kern.Gemm(false, false, 3, n, 5, 1, fill(mem, 15, 1), 5, fill(mem, 5*n, 2), n, 1, c, n)
		return c
	}, false},
	"GemmOfLongRows": {func(mem memory, n int) []float32 {
		c := fill(mem, 6, 9)
		kern.Gemm(false, true, 2, 3, n, 1, fill(mem, 2*n, 1), n, fill(mem, 3*n, 2), n, 1, c, 3)
		return c
	}, false},
	"Attention": {func(mem memory, n int) []float32 {
		sh := kern.AttnShape{H: 2, KV: 1, D: 6}
		out, lse := fill(mem, n*12, 9), fill(mem, n*2, 10)
		kern.Attention(out, lse, fill(mem, n*24, 1), fill(mem, n*6, 2), []int32{1, 0, int32(n)}, nil, sh)
		return slices.Concat(out, lse)
	}, false},
	"AttentionBackward": {func(mem memory, n int) []float32 {
		sh, layout := kern.AttnShape{H: 2, KV: 1, D: 6}, []int32{1, 0, int32(n)}
		qkv, rope := fill(mem, n*24, 1), fill(mem, n*6, 2)
		out, lse, dqkv := fill(mem, n*12, 9), fill(mem, n*2, 10), fill(mem, n*24, 11)
		kern.Attention(out, lse, qkv, rope, layout, nil, sh)
		kern.AttentionBackward(dqkv, qkv, rope, out, lse, fill(mem, n*12, 3), layout, nil, sh)
		return dqkv
	}, false},
	"TokenLogProbs": {func(mem memory, n int) []float32 {
		if n == 0 {
			return nil // no vocabulary, no target
		}
		logp, ent := fill(mem, 2, 9), fill(mem, 2, 10)
		kern.TokenLogProbs(logp, nil, ent, nil, fill(mem, 6, 1), fill(mem, 3*n, 2), []int32{0, int32(n - 1)}, []float32{1, 1}, 0.7, 2, 3, n)
		return slices.Concat(logp, ent)
	}, false},
	"TokenLogProbsBackward": {func(mem memory, n int) []float32 {
		if n == 0 {
			return nil
		}
		dh, dw := fill(mem, 6, 9), fill(mem, 3*n, 10)
		kern.TokenLogProbsBackward(dh, dw, fill(mem, 6, 1), fill(mem, 3*n, 2), []int32{0, int32(n - 1)}, []float32{1, 1}, 0.7,
			nil, nil, fill(mem, 2, 3), fill(mem, 2, 4), 2, 3, n, false)
		return slices.Concat(dh, dw)
	}, false},
}

func columns(n int, seed uint64) []float32 { return normals[float32](newRand(seed), n) }

// fill gives n random numbers in memory of mem.
func fill(mem memory, n int, seed uint64) []float32 {
	x := mem(n)
	copy(x, columns(n, seed))
	return x
}

func unguarded(n int) []float32 { return make([]float32, n) }

// TestAssembly wants assembly and portable Go to agree at every length: to the last bit, or, where there are exponentials or fused
// products, to rounding.
func TestAssembly(t *testing.T) {
	for name, k := range rowKernels {
		t.Run(name, func(t *testing.T) {
			for n := range 301 {
				kern.SetLevel(t, "portable")
				want := k.run(unguarded, n)
				for _, level := range kern.Levels()[1:] {
					kern.SetLevel(t, level)
					got := k.run(unguarded, n)
					if k.bits {
						requireBits(t, want, got, level+" "+caseName(n))
						continue
					}
					for i := range want {
						require.InDelta(t, want[i], got[i], 3e-6*(1+math.Abs(float64(want[i]))), "%s %s, element %d", level, caseName(n), i)
					}
				}
			}
		})
	}
}

// TestVectorWidths wants the big kernels to have the same bits in AVX2 and in AVX-512.
func TestVectorWidths(t *testing.T) {
	levels := kern.Levels()
	if len(levels) < 3 {
		t.Skip("no AVX-512 here")
	}
	rng := newRand(80)
	sh := attnShapes[1]
	layout, n := layoutOf(70, 3, 150)
	qkv, dout := normals[float32](rng, n*attnWidth(sh)), normals[float32](rng, n*sh.H*sh.D)
	logits := newLogProbCase[float32](81, 90, 37, 150, 0.9)
	gu := columns(2*90*45, 82)
	run := func(level string) (all [][]float32) {
		t.Run(level, func(t *testing.T) {
			kern.SetLevel(t, level)
			a, l := runAttention(t, qkv, dout, layout, n, sh), logits.run()
			out, dgu := make([]float32, 90*45), make([]float32, len(gu))
			kern.SwiGLU(out, gu, 90, 45)
			kern.SwiGLUBackward(dgu, gu, out, 90, 45)
			all = [][]float32{a.out, a.lse, a.dqkv, l.logp, l.lse, l.ent, l.dh, l.dw, out, dgu}
		})
		return all
	}
	narrow, wide := run(levels[1]), run(levels[2])
	for i := range narrow {
		requireBits(t, narrow[i], wide[i], caseName(i))
	}
}

// TestAllLevels compares the kernels that use exponentials and products with their definitions in every build.
func TestAllLevels(t *testing.T) {
	for _, level := range kern.Levels() {
		t.Run(level, func(t *testing.T) {
			kern.SetLevel(t, level)
			t.Run("SwiGLU", TestSwiGLU)
			t.Run("SwiGLUBackward", TestSwiGLUBackward)
			t.Run("SwiGLUOfExtremes", TestSwiGLUOfExtremes)
			t.Run("LogSumExp", TestLogSumExp)
			t.Run("TokenLogProbs", TestTokenLogProbs)
			t.Run("TokenLogProbsBits", TestTokenLogProbsBits)
			t.Run("AttentionFromCache", TestAttentionFromCache)
			t.Run("AttentionIsCausal", TestAttentionIsCausal)
		})
	}
}

func TestRowKernelsAllocateNothing(t *testing.T) {
	if raceEnabled() {
		t.Skip("the race detector makes pools forget")
	}
	sh := kern.AttnShape{H: 4, KV: 2, D: 16}
	q, k, v, out := columns(64, 1), columns(kern.KeyCacheLen(100, sh), 2), columns(100*32, 3), make([]float32, 64)
	require.Zero(t, testing.AllocsPerRun(100, func() { kern.AttentionFromCache(out, q, k, v, 1, 100, sh) }), "AttentionFromCache")
	require.Zero(t, testing.AllocsPerRun(100, func() { kern.LogSumExp(k) }), "LogSumExp")
	require.Zero(t, testing.AllocsPerRun(100, func() { kern.Sum(k) }), "Sum")
}
