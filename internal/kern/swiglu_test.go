package kern_test

import (
	"math"
	"testing"

	"github.com/tame-rlhf/tame/internal/kern"
)

// plainSwiGLU is the definition.
func plainSwiGLU(out, gu []float64, rows, f int) {
	for r := range rows {
		for i := range f {
			g, u := gu[2*r*f+i], gu[(2*r+1)*f+i]
			out[r*f+i] = g / (1 + math.Exp(-g)) * u
		}
	}
}

func TestSwiGLU(t *testing.T) {
	rng := newRand(20)
	for _, f := range []int{1, 3, 16, 45, 352} {
		const rows = 7
		gu := normals[float64](rng, 2*rows*f)
		want, got := make([]float64, rows*f), filled[float64]((rows+1)*f, 7)
		plainSwiGLU(want, gu, rows, f)
		kern.SwiGLU(got, gu, rows, f)
		requireClose(t, 1e-13, want, got[:rows*f], "float64")
		requireBits(t, filled[float64](f, 7), got[rows*f:], "rows beyond the last")
		got32 := make([]float32, rows*f)
		kern.SwiGLU(got32, as[float32](gu), rows, f)
		requireClose(t, 1e-6, want, got32, "float32")
		for r := range rows {
			alone := make([]float32, f)
			kern.SwiGLU(alone, as[float32](gu[2*r*f:2*(r+1)*f]), 1, f)
			requireBits(t, got32[r*f:(r+1)*f], alone, "a row alone")
		}
	}
}

func TestSwiGLUOfExtremes(t *testing.T) {
	// silu(g) is g for great g and 0 for very negative g; exp(-g) overflows there.
	gu := []float32{0, 90, -90, 1e30, -1e30, 1, 1, 1, 1, 1}
	out, d := make([]float32, 5), make([]float32, 10)
	kern.SwiGLU(out, gu, 1, 5)
	requireClose(t, 1e-6, []float32{0, 90, 0, 1e30, 0}, out, "out")
	kern.SwiGLUBackward(d, gu, filled[float32](5, 1), 1, 5)
	requireClose(t, 1e-6, []float32{0.5, 1, 0, 1, 0, 0, 90, 0, 1e30, 0}, d, "gradient")
}

func TestSwiGLUBackward(t *testing.T) {
	rng := newRand(21)
	const rows, f = 4, 19
	gu, dout := normals[float64](rng, 2*rows*f), normals[float64](rng, rows*f)
	dgu := filled(2*rows*f, math.NaN())
	kern.SwiGLUBackward(dgu, gu, dout, rows, f)
	out := make([]float64, rows*f)
	requireGrad(t, gu, dgu, func() float64 {
		plainSwiGLU(out, gu, rows, f)
		return dot64(out, dout)
	}, "dgu")
	dgu32 := make([]float32, 2*rows*f)
	kern.SwiGLUBackward(dgu32, as[float32](gu), as[float32](dout), rows, f)
	requireClose(t, 1e-6, dgu, dgu32, "float32")
}
