package kern_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/kern"
)

const normEps = 1e-5

// plainRMSNorm is the definition.
func plainRMSNorm(out, x, w []float64, rows, c int) {
	for r := range rows {
		ss := 0.0
		for i := range c {
			ss += x[r*c+i] * x[r*c+i]
		}
		for i := range c {
			out[r*c+i] = x[r*c+i] / math.Sqrt(ss/float64(c)+normEps) * w[i]
		}
	}
}

func TestRMSNorm(t *testing.T) {
	rng := newRand(10)
	for _, c := range []int{1, 2, 7, 16, 37, 128, 200} {
		const rows = 9
		x, w := normals[float64](rng, rows*c), normals[float64](rng, c)
		want, got := make([]float64, rows*c), filled[float64]((rows+1)*c, 7)
		plainRMSNorm(want, x, w, rows, c)
		kern.RMSNorm(got, x, w, rows, c, normEps)
		requireClose(t, 1e-13, want, got[:rows*c], "float64")
		requireBits(t, filled[float64](c, 7), got[rows*c:], "rows beyond the last")

		got32 := make([]float32, rows*c)
		kern.RMSNorm(got32, as[float32](x), as[float32](w), rows, c, normEps)
		requireClose(t, 1e-6, want, got32, "float32")
		for r := range rows {
			alone := make([]float32, c)
			kern.RMSNorm(alone, as[float32](x[r*c:(r+1)*c]), as[float32](w), 1, c, normEps)
			requireBits(t, got32[r*c:(r+1)*c], alone, "a row alone")
		}
	}
}

func TestRMSNormBackward(t *testing.T) {
	rng := newRand(11)
	const rows, c = 5, 37
	x, w, dout := normals[float64](rng, rows*c), normals[float64](rng, c), normals[float64](rng, rows*c)
	dx, dw := filled(rows*c, math.NaN()), filled(c, math.NaN())
	kern.RMSNormBackward(dx, dw, x, w, dout, rows, c, normEps, false)
	out := make([]float64, rows*c)
	loss := func() float64 {
		plainRMSNorm(out, x, w, rows, c)
		return dot64(out, dout)
	}
	requireGrad(t, x, dx, loss, "dx")
	requireGrad(t, w, dw, loss, "dw")

	dx32, dw32 := make([]float32, rows*c), make([]float32, c)
	kern.RMSNormBackward(dx32, dw32, as[float32](x), as[float32](w), as[float32](dout), rows, c, normEps, false)
	requireClose(t, 1e-6, dx, dx32, "dx in float32")
	requireClose(t, 1e-6, dw, dw32, "dw in float32")
	only := make([]float32, c)
	kern.RMSNormBackward(nil, only, as[float32](x), as[float32](w), as[float32](dout), rows, c, normEps, false)
	requireBits(t, dw32, only, "dw without dx")
	only = make([]float32, rows*c)
	kern.RMSNormBackward(only, nil, as[float32](x), as[float32](w), as[float32](dout), rows, c, normEps, false)
	requireBits(t, dx32, only, "dx without dw")
}

func TestRMSNormBackwardThreads(t *testing.T) {
	rng := newRand(12)
	const rows, c = 300, 256
	x, w, dout := normals[float32](rng, rows*c), normals[float32](rng, c), normals[float32](rng, rows*c)
	one, two := onThreads(func() []float32 {
		d := make([]float32, (rows+1)*c)
		kern.RMSNormBackward(d[c:], d[:c], x, w, dout, rows, c, normEps, false)
		return d
	})
	requireBits(t, one, two, "one and two threads")
	// The gradient of the weights is summed in slot order: rows that add exactly 0 behind the last change nothing.
	more := make([]float32, c)
	kern.RMSNormBackward(nil, more, append(x, x[:c]...), w, append(dout, make([]float32, c)...), rows+1, c, normEps, false)
	requireBits(t, one[:c], more, "a row without gradient")
}

func TestRMSNormOfZeros(t *testing.T) {
	out := filled[float32](8, 1)
	kern.RMSNorm(out, make([]float32, 8), filled[float32](8, 2), 1, 8, normEps)
	require.Equal(t, make([]float32, 8), out)
}
