package kern_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/kern"
)

// gemvCase is a product of a matrix and a vector with margins around everything.
type gemvCase struct {
	trans                 bool
	m, n, lda, incX, incY int
	alpha, beta           float32
}

func (g gemvCase) lens() (x, y int) {
	if g.trans {
		return g.m, g.n
	}
	return g.n, g.m
}

func gemvCases(rng *rand.Rand, num int) []gemvCase {
	incs := []int{1, 1, 1, 2, 3, -1, -2}
	scalars := []float32{0, 1, -0.7, 1.3}
	var cases []gemvCase
	for range num {
		g := gemvCase{rng.IntN(2) == 1, 1 + rng.IntN(70), 1 + rng.IntN(70), rng.IntN(3), incs[rng.IntN(len(incs))], incs[rng.IntN(len(incs))],
			scalars[rng.IntN(4)], scalars[rng.IntN(4)]}
		g.lda += g.n
		cases = append(cases, g)
	}
	return cases
}

// want is the definition, operation by operation.
func (g gemvCase) want(a, x, y []float32) []float32 {
	y = append([]float32(nil), y...)
	for i := range y {
		switch g.beta {
		case 0:
			y[i] = 0
		default:
			y[i] *= g.beta
		}
	}
	if g.alpha == 0 {
		return y
	}
	for j := range y {
		if !g.trans {
			p := g.alpha * lanes16(len(x), func(i int) float32 { p := a[j*g.lda+i] * x[i]; return p })
			y[j] += p
			continue
		}
		for i, v := range x {
			t := g.alpha * v
			p := t * a[i*g.lda+j]
			y[j] += p
		}
	}
	return y
}

func TestSgemv(t *testing.T) {
	for _, level := range kern.Levels() {
		t.Run(level, func(t *testing.T) {
			kern.SetLevel(t, level)
			rng := newRand(31)
			cases := gemvCases(rng, 300)
			for n := range 40 { // every tail, rows in fours and left over
				cases = append(cases, gemvCase{false, 1 + n%9, 1 + n, 1 + n, 1, 1, 1, 0}, gemvCase{true, 1 + n%9, 1 + n, 3 + n, 1, 1, 1, 1})
			}
			for _, g := range cases {
				lenX, lenY := g.lens()
				a, x, y := normals[float32](rng, g.m*g.lda), normals[float32](rng, lenX), normals[float32](rng, lenY)
				want := g.want(a, x, y)
				if g.beta == 0 {
					y = filled(lenY, float32(math.NaN()))
				}
				got := apart(y, g.incY)
				kern.Sgemv(g.trans, g.m, g.n, g.alpha, a, g.lda, apart(x, g.incX), g.incX, g.beta, got, g.incY)
				requireBits(t, apart(want, g.incY), got, fmt.Sprintf("%+v", g))
			}
		})
	}
}

func TestSger(t *testing.T) {
	for _, level := range kern.Levels() {
		t.Run(level, func(t *testing.T) {
			kern.SetLevel(t, level)
			rng := newRand(32)
			for _, g := range gemvCases(rng, 300) {
				a, x, y := normals[float32](rng, g.m*g.lda), normals[float32](rng, g.m), normals[float32](rng, g.n)
				want := append([]float32(nil), a...)
				for i := range x {
					for j := range y {
						s := g.alpha * x[i]
						p := s * y[j]
						want[i*g.lda+j] += p
					}
				}
				kern.Sger(g.m, g.n, g.alpha, apart(x, g.incX), g.incX, apart(y, g.incY), g.incY, a, g.lda)
				requireBits(t, want, a, fmt.Sprintf("%+v", g))
			}
		})
	}
}

// TestSgemvThreads wants the bits of one goroutine from two, also where y is longer than what meets all of A at once.
func TestSgemvThreads(t *testing.T) {
	rng := newRand(33)
	for _, g := range []gemvCase{{m: 700, n: 513}, {trans: true, m: 700, n: 513}, {trans: true, m: 9, n: 40000}, {m: 9, n: 40000}} {
		lenX, lenY := g.lens()
		a, x := normals[float32](rng, g.m*g.n), normals[float32](rng, lenX)
		g.lda, g.alpha = g.n, 1
		one, two := onThreads(func() []float32 {
			y := make([]float32, lenY)
			kern.Sgemv(g.trans, g.m, g.n, 1, a, g.n, x, 1, 0, y, 1)
			return y
		})
		requireBits(t, one, two, fmt.Sprintf("%+v", g))
		requireBits(t, g.want(a, x, one), one, fmt.Sprintf("%+v", g))
		one, two = onThreads(func() []float32 {
			b := append([]float32(nil), a...)
			kern.Sger(g.m, g.n, 1, a[:g.m], 1, a[:g.n], 1, b, g.n)
			return b
		})
		requireBits(t, one, two, fmt.Sprintf("Sger %+v", g))
	}
}

// TestSgemvKeepsNaN wants every NaN and infinity of A and x in y: a NaN in x makes all of y NaN.
func TestSgemvKeepsNaN(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, level := range kern.Levels() {
		kern.SetLevel(t, level)
		for _, trans := range []bool{false, true} {
			for at := range 21 {
				a, x, y := filled[float32](21*21, 1), filled[float32](21, 0), filled[float32](21, 0)
				x[at] = nan
				kern.Sgemv(trans, 21, 21, 1, a, 21, x, 1, 1, y, 1)
				for i, v := range y {
					require.True(t, v != v, "%s: x[%d] is NaN, y[%d] is %v", level, at, i, v)
				}
				x[at], y = 0, filled[float32](21, 0)
				a[at*21+20-at] = inf // 0 times Inf is NaN
				kern.Sgemv(trans, 21, 21, 1, a, 21, x, 1, 1, y, 1)
				hit := at
				if trans {
					hit = 20 - at
				}
				for i, v := range y {
					require.Equal(t, i == hit, v != v, "%s: trans %v, A[%d][%d] is Inf, y[%d] is %v", level, trans, at, 20-at, i, v)
				}
			}
		}
	}
}

func BenchmarkSgemvLevels(b *testing.B) {
	for _, s := range []struct{ m, n int }{{64, 64}, {768, 768}, {768, 2048}, {4096, 4096}} {
		a, x, y := normals[float32](newRand(1), s.m*s.n), normals[float32](newRand(2), max(s.m, s.n)), make([]float32, max(s.m, s.n))
		for _, trans := range []bool{false, true} {
			for _, level := range kern.Levels() {
				b.Run(fmt.Sprintf("%dx%d/trans=%v/%s", s.m, s.n, trans, level), func(b *testing.B) {
					kern.SetLevel(b, level)
					for b.Loop() {
						kern.Sgemv(trans, s.m, s.n, 1, a, s.n, x, 1, 0, y, 1)
					}
					b.ReportMetric(4*float64(s.m*s.n)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GB/s")
				})
			}
		}
	}
}
