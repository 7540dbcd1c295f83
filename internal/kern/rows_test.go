package kern_test

import (
	"runtime/debug"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/kern"
)

// rowKernels run every kernel with assembly of its own over n columns and return everything they write.
var rowKernels = map[string]func(n int) []float32{
	"Sum":        func(n int) []float32 { return []float32{kern.Sum(columns(n, 1))} },
	"Dot":        func(n int) []float32 { return []float32{kern.Dot(columns(n, 1), columns(n, 2))} },
	"SumSquares": func(n int) []float32 { return []float32{float32(kern.SumSquares(columns(n, 1)))} },
	"Max":        func(n int) []float32 { return []float32{kern.Max(columns(n, 1))} },
	"Add": func(n int) []float32 {
		return inPlace(n, func(x []float32) { kern.Add(x, columns(n, 1), columns(n, 2)) })
	},
	"Scale": func(n int) []float32 { return inPlace(n, func(x []float32) { kern.Scale(x, 1.7) }) },
	"Axpy":  func(n int) []float32 { return inPlace(n, func(x []float32) { kern.Axpy(x, 1.7, columns(n, 1)) }) },
	"RMSNorm": func(n int) []float32 {
		return inPlace(n, func(x []float32) { kern.RMSNorm(x, columns(n, 1), columns(n, 2), 1, n, normEps) })
	},
	"RMSNormBackward": func(n int) []float32 {
		return inPlace(2*n, func(d []float32) {
			kern.RMSNormBackward(d[:n], d[n:], columns(n, 1), columns(n, 2), columns(n, 3), 1, n, normEps, false)
		})
	},
	"RoPE": func(n int) []float32 {
		return inPlace(2*n, func(x []float32) { kern.RoPE(x, 1, 2*n, columns(2*n, 1)) })
	},
	"RoPEBackward": func(n int) []float32 {
		return inPlace(2*n, func(x []float32) { kern.RoPEBackward(x, 1, 2*n, columns(2*n, 1)) })
	},
	"AdamW": func(n int) []float32 {
		return inPlace(3*n, func(x []float32) {
			v := x[2*n:]
			for i := range v {
				v[i] *= v[i]
			}
			kern.AdamW(x[:n], columns(n, 1), x[n:2*n], v, 1e-2, 0.9, 0.95, 1e-5, 0.1, 0.3, 0.2, 0.5)
		})
	},
}

func columns(n int, seed uint64) []float32 { return normals[float32](newRand(seed), n) }

// inPlace runs f on n random numbers followed by a guard, and returns all of them.
func inPlace(n int, f func(x []float32)) []float32 {
	x := columns(n+20, 9)
	f(x[:n:n])
	return x
}

// TestAssemblyBits wants assembly and portable Go to agree to the last bit at every length, and nothing written beyond it.
func TestAssemblyBits(t *testing.T) {
	for name, f := range rowKernels {
		t.Run(name, func(t *testing.T) {
			for n := 1; n <= 150; n++ {
				fast := f(n)
				t.Run("", func(t *testing.T) {
					kern.SetLevel(t, "portable")
					requireBits(t, f(n), fast, caseName(n))
				})
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
			t.Run("AttentionCached", TestAttentionCached)
			t.Run("AttentionIsCausal", TestAttentionIsCausal)
		})
	}
}

func TestRowKernelsAllocateNothing(t *testing.T) {
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("the race detector makes pools forget")
	}
	sh := kern.AttnShape{H: 4, KV: 2, D: 16}
	q, k, v, out := columns(64, 1), columns(100*32, 2), columns(100*32, 3), make([]float32, 64)
	require.Zero(t, testing.AllocsPerRun(100, func() { kern.AttentionCached(out, q, k, v, 100, sh) }), "AttentionCached")
	require.Zero(t, testing.AllocsPerRun(100, func() { kern.LogSumExp(k) }), "LogSumExp")
	require.Zero(t, testing.AllocsPerRun(100, func() { kern.Sum(k) }), "Sum")
}
