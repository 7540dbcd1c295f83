package kern_test

import (
	"fmt"

	"github.com/tame-rlhf/tame/internal/kern"
	"github.com/tame-rlhf/tame/pkg/backend"
)

// The last row of attention over a segment, and the same from cached keys and values.
func ExampleAttentionFromCache() {
	sh := kern.AttnShape{H: 2, KV: 1, D: 4}
	const n, width = 3, (2 + 2*1) * 4
	rope := backend.RoPETable[float32](n, sh.D, 10000)
	qkv := normals[float32](newRand(1), n*width)

	out, lse := make([]float32, n*8), make([]float32, n*2)
	kern.Attention(out, lse, qkv, rope, []int32{1, 0, n, n}, nil, sh)

	q, k := make([]float32, 8), make([]float32, 4)
	keys, values := make([]float32, kern.KeyCacheLen(n, sh)), make([]float32, n*4)
	for t := range n { // one segment: slot t is position t
		row := qkv[t*width : (t+1)*width]
		copy(q, row[:8])
		copy(k, row[8:])
		copy(values[t*4:], row[12:])
		kern.RoPE(q, sh.H, sh.D, rope[t*4:(t+1)*4])
		kern.RoPE(k, sh.KV, sh.D, rope[t*4:(t+1)*4])
		kern.CacheKey(keys, t, k, sh)
	}
	cached := make([]float32, 8)
	kern.AttentionFromCache(cached, q, keys, values, 1, n, sh)
	fmt.Println([8]float32(cached) == [8]float32(out[(n-1)*8:]))
	// Output: true
}

// Log-probabilities of two tokens; the third row is not counted.
func ExampleTokenLogProbs() {
	h := []float64{1, 0, 0, 1, 1, 1} // (3, 2) hidden states
	w := []float64{2, 0, 0, 2, 1, 1} // (3, 2) output weights
	targets := []int32{0, 1, -1}     // (3)
	counted := []float64{1, 1, 0}    // (3)
	logp, ent := make([]float64, 3), make([]float64, 3)
	kern.TokenLogProbs(logp, nil, ent, nil, h, w, targets, counted, 1, 3, 2, 3)
	fmt.Printf("%.4f %.4f\n", logp, ent)
	// Output: [-0.4076 -0.4076 0.0000] [0.8324 0.8324 0.0000]
}

func ExampleRMSNorm() {
	x, w, out := []float32{3, 4, 0, 5}, []float32{1, 2}, make([]float32, 4)
	kern.RMSNorm(out, x, w, 2, 2, 1e-5)
	fmt.Printf("%.3f\n", out)
	// Output: [0.849 2.263 0.000 2.828]
}
