package kern_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/tame-rlhf/tame/internal/kern"
	"github.com/tame-rlhf/tame/pkg/backend"
)

// The contract of arithmetic (package comment): over random shapes every parallel kernel gives the same bits on any number of threads, in
// AVX2 and in AVX-512, and a row the same bits alone as in a batch.

// contractCase runs a kernel of a random shape and returns all it computed.
type contractCase func() []float32

var contractCases = map[string]func(rng *rand.Rand) contractCase{
	"Gemm": func(rng *rand.Rand) contractCase {
		m, n, k := 1+rng.IntN(200), 1+rng.IntN(200), 1+rng.IntN(600)
		transA, transB := rng.IntN(2) == 1, rng.IntN(2) == 1
		a, b, c := normals[float32](rng, m*k), normals[float32](rng, k*n), normals[float32](rng, m*n)
		beta := float32(rng.IntN(2))
		return func() []float32 {
			out := slices.Clone(c)
			lda, ldb := k, n
			if transA {
				lda = m
			}
			if transB {
				ldb = k
			}
			kern.Gemm(transA, transB, m, n, k, 0.7, a, lda, b, ldb, beta, out, n)
			return out
		}
	},
	"GemmPacked": func(rng *rand.Rand) contractCase {
		m, n, k := 1+rng.IntN(40), 1+rng.IntN(900), 1+rng.IntN(900)
		a, b := normals[float32](rng, m*k), normals[float32](rng, k*n)
		return func() []float32 {
			out := make([]float32, m*n)
			kern.GemmPacked(m, a, k, kern.Pack(true, k, n, b, k), 0, out, n)
			return out
		}
	},
	"RMSNorm": func(rng *rand.Rand) contractCase {
		rows, c := 1+rng.IntN(300), 1+rng.IntN(300)
		x, w, dout := normals[float32](rng, rows*c), normals[float32](rng, c), normals[float32](rng, rows*c)
		return func() []float32 {
			out, dx, dw := make([]float32, rows*c), make([]float32, rows*c), make([]float32, c)
			kern.RMSNorm(out, x, w, rows, c, normEps)
			kern.RMSNormBackward(dx, dw, x, w, dout, rows, c, normEps, false)
			return slices.Concat(out, dx, dw)
		}
	},
	"SwiGLU": func(rng *rand.Rand) contractCase {
		rows, f := 1+rng.IntN(200), 1+rng.IntN(300)
		gu, dout := normals[float32](rng, 2*rows*f), normals[float32](rng, rows*f)
		return func() []float32 {
			out, dgu := make([]float32, rows*f), make([]float32, 2*rows*f)
			kern.SwiGLU(out, gu, rows, f)
			kern.SwiGLUBackward(dgu, gu, dout, rows, f)
			return slices.Concat(out, dgu)
		}
	},
	"Embed": func(rng *rand.Rand) contractCase {
		rows, c, v := 1+rng.IntN(400), 1+rng.IntN(300), 1+rng.IntN(50)
		w, dout, tokens := normals[float32](rng, v*c), normals[float32](rng, rows*c), make([]int32, rows)
		for i := range tokens {
			tokens[i] = rng.Int32N(int32(v))
		}
		return func() []float32 {
			out, dw := make([]float32, rows*c), make([]float32, v*c)
			kern.Embed(out, w, tokens, rows, c)
			kern.EmbedBackward(dw, dout, tokens, rows, c, v, false)
			return slices.Concat(out, dw)
		}
	},
	"Attention": func(rng *rand.Rand) contractCase {
		kv := 1 + rng.IntN(3)
		sh := kern.AttnShape{H: kv * (1 + rng.IntN(3)), KV: kv, D: 2 * (1 + rng.IntN(24))}
		lengths := make([]int, 1+rng.IntN(5))
		for i := range lengths {
			lengths[i] = 1 + rng.IntN(150)
		}
		layout, n := layoutOf(lengths...)
		qkv, dout := normals[float32](rng, n*attnWidth(sh)), normals[float32](rng, n*sh.H*sh.D)
		table := backend.RoPETable[float32](150, sh.D, ropeTheta)
		return func() []float32 {
			out, lse, dqkv := make([]float32, n*sh.H*sh.D), make([]float32, n*sh.H), make([]float32, len(qkv))
			kern.Attention(out, lse, qkv, table, layout, nil, sh)
			kern.AttentionBackward(dqkv, qkv, table, out, lse, dout, layout, nil, sh)
			return slices.Concat(out, lse, dqkv)
		}
	},
	"branches": func(rng *rand.Rand) contractCase {
		kv := 1 + rng.IntN(3)
		sh := kern.AttnShape{H: kv * (1 + rng.IntN(3)), KV: kv, D: 2 * (1 + rng.IntN(24))}
		b := randomBranches(rng, 150)
		qkv, dout := normals[float32](rng, b.n*attnWidth(sh)), normals[float32](rng, b.n*sh.H*sh.D)
		return func() []float32 {
			r := b.run(qkv, dout, sh)
			return slices.Concat(r.out, r.lse, r.dqkv)
		}
	},
	"TokenLogProbs": func(rng *rand.Rand) contractCase {
		k := newLogProbCase[float32](rng.Uint64(), 1+rng.IntN(600), 1+rng.IntN(80), 1+rng.IntN(400), 0.5+rng.Float64())
		return func() []float32 {
			r := k.run()
			return slices.Concat(r.logp, r.lse, r.ent, r.dh, r.dw)
		}
	},
	"AdamW": func(rng *rand.Rand) contractCase {
		n := 1 + rng.IntN(50_000)
		p, g, m, v := normals[float32](rng, n), normals[float32](rng, n), normals[float32](rng, n), make([]float32, n)
		return func() []float32 {
			p, m, v := slices.Clone(p), slices.Clone(m), slices.Clone(v)
			kern.AdamW(p, g, m, v, 1e-2, 0.9, 0.95, 1e-5, 0.1, 0.3, 0.2, 0.5)
			kern.Add(p, p, m)
			kern.Axpy(p, 0.3, v)
			return slices.Concat(p, m, v)
		}
	},
}

func TestContract(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	for name, random := range contractCases {
		t.Run(name, func(t *testing.T) {
			for round := range rounds {
				rng := newRand(uint64(1000 + round))
				run := random(rng)
				for i, level := range kern.Levels() {
					kern.SetLevel(t, level)
					runtime.GOMAXPROCS(1)
					want := run()
					for _, procs := range []int{2, 3, 16} {
						runtime.GOMAXPROCS(procs)
						requireBits(t, want, run(), fmt.Sprintf("round %d, %s, %d threads", round, level, procs))
					}
					if i == 0 || level == "avx2" { // portable Go has bits of its own
						continue
					}
					kern.SetLevel(t, "avx2")
					requireBits(t, run(), want, fmt.Sprintf("round %d, %s and AVX2", round, level))
				}
			}
		})
	}
}
