package gguf

import (
	"math/rand/v2"
	"testing"
)

// Converting blocks, in bytes of the float32 that come out.
func BenchmarkDecodeRow(b *testing.B) {
	for _, t := range []Type{F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K} {
		b.Run(t.String(), func(b *testing.B) {
			raw, dst := make([]byte, t.rowBytes(1<<14)), make([]float32, 1<<14)
			rng := rand.New(rand.NewPCG(1, 2))
			for i := range raw {
				raw[i] = byte(rng.Uint32()) &^ 0x40 // no scale is infinite
			}
			b.SetBytes(4 << 14)
			for b.Loop() {
				t.DecodeRow(dst, raw)
			}
		})
	}
}
