package kern_test

import (
	"math"
	"testing"

	"github.com/tame-rlhf/tame/internal/kern"
)

func TestAdamW(t *testing.T) {
	rng := newRand(50)
	const lr, b1, b2, eps, decay, scale = 1e-2, 0.9, 0.95, 1e-5, 0.1, 0.5
	for _, n := range []int{1, 5, 16, 17, 1000, 1<<13 + 5} {
		p := normals[float64](rng, n)
		m, v := make([]float64, n), make([]float64, n)
		p32, m32, v32 := as[float32](p), as[float32](m), as[float32](v)
		want := append([]float64(nil), p...)
		wm, wv := make([]float64, n), make([]float64, n)
		for step := 1; step <= 5; step++ {
			g := normals[float64](rng, n)
			bias1, bias2 := 1-math.Pow(b1, float64(step)), 1-math.Pow(b2, float64(step))
			// Loshchilov and Hutter 2019, algorithm 2, line by line.
			for i := range want {
				gi := g[i] * scale
				wm[i] = b1*wm[i] + (1-b1)*gi
				wv[i] = b2*wv[i] + (1-b2)*gi*gi
				want[i] -= lr * decay * want[i]
				want[i] -= lr * (wm[i] / bias1) / (math.Sqrt(wv[i]/bias2) + eps)
			}
			g32 := as[float32](g)
			kern.AdamW(p, g, m, v, lr, b1, b2, eps, decay, bias1, bias2, scale)
			kern.AdamW(p32, g32, m32, v32, lr, b1, b2, eps, decay, float32(bias1), float32(bias2), scale)
			requireBits(t, as[float32](g), g32, "gradient unchanged")
		}
		requireClose(t, 1e-14, want, p, "p")
		requireClose(t, 1e-14, wm, m, "m")
		requireClose(t, 1e-14, wv, v, "v")
		requireClose(t, 1e-6, want, p32, "p in float32")
		requireClose(t, 1e-6, wm, m32, "m in float32")
		requireClose(t, 2e-6, wv, v32, "v in float32")
	}
}
