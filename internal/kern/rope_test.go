package kern_test

import (
	"math"
	"math/cmplx"
	"testing"

	"github.com/tame-rlhf/tame/internal/kern"
	"github.com/tame-rlhf/tame/pkg/backend"
)

// plainRoPE turns each pair (i, i+d/2) as a complex number.
func plainRoPE(x []float64, heads, d, pos int, theta float64) {
	for h := range heads {
		for i := range d / 2 {
			angle := float64(pos) * math.Pow(theta, -2*float64(i)/float64(d))
			z := complex(x[h*d+i], x[h*d+i+d/2]) * cmplx.Exp(complex(0, angle))
			x[h*d+i], x[h*d+i+d/2] = real(z), imag(z)
		}
	}
}

func TestRoPE(t *testing.T) {
	rng := newRand(30)
	for _, d := range []int{2, 6, 16, 32, 64, 80, 128} {
		const heads, theta, maxPos = 3, 10000, 100
		table, table32 := backend.RoPETable[float64](maxPos, d, theta), backend.RoPETable[float32](maxPos, d, theta)
		for _, pos := range []int{0, 1, 50, 99} {
			x := normals[float64](rng, heads*d)
			x32 := as[float32](x)
			want, got := append([]float64(nil), x...), append([]float64(nil), x...)
			plainRoPE(want, heads, d, pos, theta)
			kern.RoPE(got, heads, d, table[pos*d:(pos+1)*d])
			requireClose(t, 1e-13, want, got, "float64")
			kern.RoPE(x32, heads, d, table32[pos*d:(pos+1)*d])
			requireClose(t, 1e-6, want, x32, "float32")
			// A rotation keeps lengths, so its derivative, the transpose, is its inverse.
			kern.RoPEBackward(got, heads, d, table[pos*d:(pos+1)*d])
			requireClose(t, 1e-13, x, got, "there and back")
			kern.RoPEBackward(x32, heads, d, table32[pos*d:(pos+1)*d])
			requireClose(t, 1e-6, x, x32, "there and back in float32")
		}
	}
}
