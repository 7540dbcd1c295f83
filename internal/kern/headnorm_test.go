package kern_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/kern"
)

// plainHeadNorm is the definition, by the definition of RMSNorm on single heads.
func plainHeadNorm(out, x, qw, kw []float64, rows int, sh kern.AttnShape) {
	copy(out, x)
	width := attnWidth(sh)
	for r := range rows {
		for h := range sh.H + sh.KV {
			w := qw
			if h >= sh.H {
				w = kw
			}
			plainRMSNorm(out[r*width+h*sh.D:], x[r*width+h*sh.D:], w, 1, sh.D)
		}
	}
}

func TestHeadNorm(t *testing.T) {
	rng := newRand(120)
	for _, sh := range []kern.AttnShape{{H: 4, KV: 2, D: 6}, {H: 1, KV: 1, D: 2}, {H: 3, KV: 1, D: 32}, {H: 2, KV: 2, D: 80}} {
		const rows = 9
		width := attnWidth(sh)
		x, qw, kw := normals[float64](rng, rows*width), normals[float64](rng, sh.D), normals[float64](rng, sh.D)
		want, got := make([]float64, rows*width), filled[float64]((rows+1)*width, 7)
		plainHeadNorm(want, x, qw, kw, rows, sh)
		kern.HeadNorm(got, x, qw, kw, rows, sh, normEps)
		requireClose(t, 1e-13, want, got[:rows*width], "float64")
		requireBits(t, filled[float64](width, 7), got[rows*width:], "rows beyond the last")

		got32 := as[float32](x)
		kern.HeadNorm(got32, got32, as[float32](qw), as[float32](kw), rows, sh, normEps) // in place
		requireClose(t, 1e-6, want, got32, "float32")
		for r := range rows {
			alone := as[float32](x[r*width : (r+1)*width])
			kern.HeadNorm(alone, alone, as[float32](qw), as[float32](kw), 1, sh, normEps)
			requireBits(t, got32[r*width:(r+1)*width], alone, "a row alone")
		}
	}
}

func TestHeadNormBackward(t *testing.T) {
	rng := newRand(121)
	sh := kern.AttnShape{H: 4, KV: 2, D: 6}
	const rows = 5
	width := attnWidth(sh)
	x, qw, kw, dout := normals[float64](rng, rows*width), normals[float64](rng, sh.D), normals[float64](rng, sh.D), normals[float64](rng, rows*width)
	dx, dqw, dkw := filled(rows*width, math.NaN()), filled(sh.D, math.NaN()), filled(sh.D, math.NaN())
	kern.HeadNormBackward(dx, dqw, dkw, x, qw, kw, dout, rows, sh, normEps, false, false)
	out := make([]float64, rows*width)
	loss := func() float64 {
		plainHeadNorm(out, x, qw, kw, rows, sh)
		return dot64(out, dout)
	}
	requireGrad(t, x, dx, loss, "dx")
	requireGrad(t, qw, dqw, loss, "dqw")
	requireGrad(t, kw, dkw, loss, "dkw")

	twice, alone := append([]float64(nil), dqw...), filled(sh.D, 1.0)
	kern.HeadNormBackward(nil, twice, alone, x, qw, kw, dout, rows, sh, normEps, true, false)
	for i := range dqw {
		require.InDelta(t, 2*dqw[i], twice[i], 1e-12, "added")
	}
	requireBits(t, dkw, alone, "overwritten, without dx")
	kern.HeadNormBackward(dx, nil, nil, x, qw, kw, dout, rows, sh, normEps, false, false)
}

func TestHeadNormThreads(t *testing.T) {
	rng := newRand(122)
	sh := kern.AttnShape{H: 4, KV: 2, D: 160}
	const rows = 300
	x, dout := normals[float32](rng, rows*attnWidth(sh)), normals[float32](rng, rows*attnWidth(sh))
	qw, kw := normals[float32](rng, sh.D), normals[float32](rng, sh.D)
	type result struct{ out, dx, dqw, dkw []float32 }
	one, all := onThreads(func() result {
		r := result{make([]float32, len(x)), make([]float32, len(x)), make([]float32, sh.D), make([]float32, sh.D)}
		kern.HeadNorm(r.out, x, qw, kw, rows, sh, normEps)
		kern.HeadNormBackward(r.dx, r.dqw, r.dkw, x, qw, kw, dout, rows, sh, normEps, false, false)
		return r
	})
	requireBits(t, one.out, all.out, "out")
	requireBits(t, one.dx, all.dx, "dx")
	requireBits(t, one.dqw, all.dqw, "dqw")
	requireBits(t, one.dkw, all.dkw, "dkw")
}
