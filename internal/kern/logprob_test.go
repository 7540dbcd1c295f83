package kern_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/kern"
)

// plainLogSumExp is the definition.
func plainLogSumExp(x []float64) float64 {
	s := 0.0
	for _, v := range x {
		s += math.Exp(v)
	}
	return math.Log(s)
}

func TestLogSumExp(t *testing.T) {
	rng := newRand(70)
	for _, n := range []int{1, 2, 15, 16, 17, 100, 640, 5000} {
		x := normals[float64](rng, n)
		want := plainLogSumExp(x)
		require.InDelta(t, want, kern.LogSumExp(x), 1e-14*(1+math.Abs(want)), caseName(n))
		x32 := as[float32](x)
		require.InDelta(t, want, kern.LogSumExp(x32), 1e-6*(1+math.Abs(want)), caseName(n))
		requireBits(t, as[float32](x), x32, "argument unchanged")
	}
	inf := math.Inf(-1)
	require.Equal(t, inf, kern.LogSumExp([]float64{}))
	require.Equal(t, inf, kern.LogSumExp([]float64{inf, inf}))
	require.Equal(t, 3.0, kern.LogSumExp([]float64{inf, 3}))
	require.InDelta(t, 1e4+math.Log(2), kern.LogSumExp([]float64{1e4, 1e4}), 1e-9)
	require.True(t, math.IsNaN(kern.LogSumExp([]float64{0, math.NaN()})))
}

// logProbCase is one batch for TokenLogProbs.
type logProbCase[T kern.Float] struct {
	h, w, counted, dlogp, dent []T
	targets                    []int32
	temp                       T
	rows, c, v                 int
}

func newLogProbCase[T kern.Float](seed uint64, rows, c, v int, temp float64) logProbCase[T] {
	rng := newRand(seed)
	k := logProbCase[T]{
		h: normals[T](rng, rows*c), w: normals[T](rng, v*c), dlogp: normals[T](rng, rows), dent: normals[T](rng, rows),
		counted: make([]T, rows), targets: make([]int32, rows), temp: T(float32(temp)), rows: rows, c: c, v: v,
	}
	for r := range rows {
		k.targets[r] = -1
		if rng.IntN(3) > 0 {
			k.counted[r], k.targets[r] = 1, int32(rng.IntN(v))
		} else {
			k.dlogp[r], k.dent[r] = T(math.NaN()), T(math.Inf(1))
		}
	}
	return k
}

func logProbAs[U, T kern.Float](k logProbCase[T]) logProbCase[U] {
	return logProbCase[U]{as[U](k.h), as[U](k.w), as[U](k.counted), as[U](k.dlogp), as[U](k.dent), k.targets, U(k.temp), k.rows, k.c, k.v}
}

// plain is the definition; and the loss sum of dlogp*logp + dent*ent over the counted rows.
func (k logProbCase[T]) plain() (logp, lse, ent []float64, loss float64) {
	logp, lse, ent = make([]float64, k.rows), make([]float64, k.rows), make([]float64, k.rows)
	for r := range k.rows {
		if k.counted[r] == 0 {
			continue
		}
		z := make([]float64, k.v)
		for j := range z {
			z[j] = dot64(k.h[r*k.c:(r+1)*k.c], k.w[j*k.c:(j+1)*k.c]) / float64(k.temp)
		}
		lse[r] = plainLogSumExp(z)
		logp[r] = z[k.targets[r]] - lse[r]
		for j := range z {
			ent[r] -= math.Exp(z[j]-lse[r]) * (z[j] - lse[r])
		}
		loss += float64(k.dlogp[r])*logp[r] + float64(k.dent[r])*ent[r]
	}
	return logp, lse, ent, loss
}

// logProbResult holds the results of TokenLogProbs and TokenLogProbsBackward.
type logProbResult[T kern.Float] struct{ logp, lse, ent, dh, dw []T }

func (k logProbCase[T]) run() logProbResult[T] {
	nan := T(math.NaN())
	r := logProbResult[T]{filled(k.rows, nan), filled(k.rows, nan), filled(k.rows, nan), filled(k.rows*k.c, nan), filled(k.v*k.c, nan)}
	kern.TokenLogProbs(r.logp, r.lse, r.ent, nil, k.h, k.w, k.targets, k.counted, k.temp, k.rows, k.c, k.v)
	kern.TokenLogProbsBackward(r.dh, r.dw, k.h, k.w, k.targets, k.counted, k.temp, r.lse, r.ent, k.dlogp, k.dent, k.rows, k.c, k.v, false)
	return r
}

func TestTokenLogProbs(t *testing.T) {
	for i, temp := range []float64{1, 0.7, 1.5} {
		k := newLogProbCase[float64](uint64(71+i), 200, 13, 41, temp)
		logp, lse, ent, _ := k.plain()
		got := k.run()
		requireClose(t, 1e-13, logp, got.logp, "logp")
		requireClose(t, 1e-13, lse, got.lse, "lse")
		requireClose(t, 1e-12, ent, got.ent, "ent")
		got32 := logProbAs[float32](k).run()
		requireClose(t, 1e-6, logp, got32.logp, "logp in float32")
		requireClose(t, 1e-6, lse, got32.lse, "lse in float32")
		requireClose(t, 2e-6, ent, got32.ent, "ent in float32")
		requireClose(t, 5e-6, got.dh, got32.dh, "dh in float32")
		requireClose(t, 5e-6, got.dw, got32.dw, "dw in float32")
		for r := range k.rows {
			if k.counted[r] == 0 {
				zeros := append([]float32{got32.logp[r], got32.lse[r], got32.ent[r]}, got32.dh[r*k.c:(r+1)*k.c]...)
				requireBits(t, make([]float32, 3+k.c), zeros, "a row that is not counted")
			}
		}
	}
}

// With w the identity the hidden states are the logits.
func TestTokenLogProbsHits(t *testing.T) {
	h := []float64{0, 5, 1, 0, 5, 1, 0, 5, 1, -1, -2, -3}
	w := []float64{1, 0, 0, 0, 1, 0, 0, 0, 1}
	hit := make([]float64, 4)
	kern.TokenLogProbs(nil, nil, nil, hit, h, w, []int32{1, 2, 1, 0}, []float64{1, 1, 0, 1}, 0.7, 4, 3, 3)
	require.Equal(t, []float64{1, 0, 0, 1}, hit, "the third row is not counted")
}

func TestTokenLogProbsBackward(t *testing.T) {
	k := newLogProbCase[float64](74, 10, 5, 7, 1.3)
	loss := func() float64 { _, _, _, l := k.plain(); return l }
	got := k.run()
	requireGrad(t, k.h, got.dh, loss, "dh")
	requireGrad(t, k.w, got.dw, loss, "dw")

	// Without lse and ent they are recomputed; without dent its share is gone.
	dh, dw := make([]float64, k.rows*k.c), make([]float64, k.v*k.c)
	kern.TokenLogProbsBackward(dh, nil, k.h, k.w, k.targets, k.counted, k.temp, nil, nil, k.dlogp, k.dent, k.rows, k.c, k.v, false)
	requireClose(t, 1e-13, got.dh, dh, "dh, lse and ent recomputed")
	kern.TokenLogProbsBackward(nil, dw, k.h, k.w, k.targets, k.counted, k.temp, nil, nil, k.dlogp, k.dent, k.rows, k.c, k.v, false)
	requireClose(t, 1e-13, got.dw, dw, "dw, lse and ent recomputed")
	kern.TokenLogProbsBackward(dh, dw, k.h, k.w, k.targets, k.counted, k.temp, got.lse, nil, k.dlogp, nil, k.rows, k.c, k.v, false)
	dent := k.dent
	k.dent = make([]float64, k.rows)
	requireGrad(t, k.h, dh, loss, "dh of logp")
	requireGrad(t, k.w, dw, loss, "dw of logp")
	k.dent = dent
	kern.TokenLogProbsBackward(dh, dw, k.h, k.w, k.targets, k.counted, k.temp, got.lse, got.ent, nil, k.dent, k.rows, k.c, k.v, false)
	k.dlogp = make([]float64, k.rows)
	requireGrad(t, k.h, dh, loss, "dh of ent")
	requireGrad(t, k.w, dw, loss, "dw of ent")
}

// TestTokenLogProbsBits wants a row to have the same bits alone, in the batch and on two threads, and what a decoder computes
// from the logits.
func TestTokenLogProbsBits(t *testing.T) {
	k := newLogProbCase[float32](75, 150, 32, 100, 0.8)
	one, all := onThreads(func() logProbResult[float32] { return k.run() })
	for i, x := range [][2][]float32{{one.logp, all.logp}, {one.lse, all.lse}, {one.ent, all.ent}, {one.dh, all.dh}, {one.dw, all.dw}} {
		requireBits(t, x[0], x[1], "two threads, "+caseName(i))
	}
	packed := kern.Pack(true, k.c, k.v, k.w, k.c)
	for r := range k.rows {
		if k.counted[r] == 0 {
			continue
		}
		alone := k
		alone.rows, alone.h, alone.targets, alone.counted = 1, k.h[r*k.c:], k.targets[r:], k.counted[r:]
		alone.dlogp, alone.dent = k.dlogp[r:], k.dent[r:]
		got := alone.run()
		requireBits(t, []float32{all.logp[r], all.lse[r], all.ent[r]}, []float32{got.logp[0], got.lse[0], got.ent[0]}, "a row alone")
		requireBits(t, all.dh[r*k.c:(r+1)*k.c], got.dh, "dh of a row alone")

		z := make([]float32, k.v)
		kern.GemmPacked(1, k.h[r*k.c:], k.c, packed, 0, z, k.v)
		kern.Temper(z, k.temp)
		require.Equal(t, all.logp[r], z[k.targets[r]]-kern.LogSumExp(z), "decoding")
	}
}

func TestTokenLogProbsOfNothing(t *testing.T) {
	k := newLogProbCase[float32](76, 5, 3, 4, 1)
	clear(k.counted)
	got := k.run()
	require.Equal(t, make([]float32, 5), got.logp)
	require.Equal(t, make([]float32, 15), got.dh)
	require.Equal(t, make([]float32, 12), got.dw)
}
