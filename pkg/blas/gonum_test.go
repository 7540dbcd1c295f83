package blas_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	gblas "gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"

	"github.com/tame-rlhf/tame/pkg/blas"
)

// call12 is the arguments of any function of level 1 or 2: also such that do not fit each other.
type call12 struct {
	tA              gblas.Transpose
	m, n            int
	alpha, beta     float32
	a, x, y         []float32
	lda, incX, incY int
}

// ours are the functions that are not gonum's, but for Sgemm.
var ours = map[string]func(b gblas.Float32, c *call12) any{
	"Sdot":   func(b gblas.Float32, c *call12) any { return b.Sdot(c.n, c.x, c.incX, c.y, c.incY) },
	"Snrm2":  func(b gblas.Float32, c *call12) any { return b.Snrm2(c.n, c.x, c.incX) },
	"Sasum":  func(b gblas.Float32, c *call12) any { return b.Sasum(c.n, c.x, c.incX) },
	"Isamax": func(b gblas.Float32, c *call12) any { return b.Isamax(c.n, c.x, c.incX) },
	"Saxpy":  func(b gblas.Float32, c *call12) any { b.Saxpy(c.n, c.alpha, c.x, c.incX, c.y, c.incY); return nil },
	"Sscal":  func(b gblas.Float32, c *call12) any { b.Sscal(c.n, c.alpha, c.x, c.incX); return nil },
	"Sswap":  func(b gblas.Float32, c *call12) any { b.Sswap(c.n, c.x, c.incX, c.y, c.incY); return nil },
	"Srot": func(b gblas.Float32, c *call12) any {
		b.Srot(c.n, c.x, c.incX, c.y, c.incY, c.alpha, c.beta)
		return nil
	},
	"Sgemv": func(b gblas.Float32, c *call12) any {
		b.Sgemv(c.tA, c.m, c.n, c.alpha, c.a, c.lda, c.x, c.incX, c.beta, c.y, c.incY)
		return nil
	},
	"Sger": func(b gblas.Float32, c *call12) any {
		b.Sger(c.m, c.n, c.alpha, c.x, c.incX, c.y, c.incY, c.a, c.lda)
		return nil
	},
}

// reference is gonum with Sgemv and Sger by definition, in float64. Version 0.17 of gonum clears all of y in Sgemv with Trans and beta
// 0, also what is past the vector, and its assembly for Sger on amd64 takes negative increments twice (issue gonum/gonum#2105).
type reference struct{ gonum.Implementation }

func (r reference) Sgemv(tA gblas.Transpose, m, n int, alpha float32, a []float32, lda int, x []float32, incX int, beta float32, y []float32, incY int) {
	r.Implementation.Sgemv(tA, m, n, alpha, a, lda, x, incX, beta, append([]float32(nil), y...), incY) // panics
	if m <= 0 || n <= 0 {
		return
	}
	rows, cols, rs, cs := m, n, lda, 1
	if tA != gblas.NoTrans {
		rows, cols, rs, cs = n, m, 1, lda
	}
	for i := range rows {
		sum := 0.0
		for j := range cols {
			sum += float64(a[i*rs+j*cs]) * float64(x[place(j, cols, incX)])
		}
		to := &y[place(i, rows, incY)]
		old := float64(beta) * float64(*to)
		if beta == 0 {
			old = 0
		}
		if alpha != 0 {
			old += float64(alpha) * sum
		}
		*to = float32(old)
	}
}

func (r reference) Sger(m, n int, alpha float32, x []float32, incX int, y []float32, incY int, a []float32, lda int) {
	r.Implementation.Sger(m, n, alpha, x, max(incX, -incX), y, max(incY, -incY), append([]float32(nil), a...), lda) // panics
	if alpha == 0 {
		return
	}
	for i := range m {
		for j := range n {
			a[i*lda+j] += alpha * x[place(i, m, incX)] * y[place(j, n, incY)]
		}
	}
}

// place is where element i of n is that are inc apart.
func place(i, n, inc int) int {
	if inc < 0 {
		i -= n - 1
	}
	return i * inc
}

// run calls on copies of the operands and returns them with the result or the panic.
func (c call12) run(b gblas.Float32, f func(b gblas.Float32, c *call12) any) (after call12, result, panicked any) {
	c.a, c.x, c.y = append([]float32(nil), c.a...), append([]float32(nil), c.x...), append([]float32(nil), c.y...)
	defer func() { after, panicked = c, recover() }()
	return c, f(b, &c), nil
}

// TestLikeGonum compares with gonum: the same panics, the same elements changed, and the same numbers to rounding.
func TestLikeGonum(t *testing.T) {
	const rounding = 3e-5 // of sums of up to 40 products of numbers up to about 4
	flags := []gblas.Transpose{gblas.NoTrans, gblas.Trans, gblas.ConjTrans}
	panics := map[string]map[string]int{}
	for name, f := range ours {
		rng := rand.New(rand.NewPCG(5, 6))
		panics[name] = map[string]int{}
		for i := range 3000 {
			c := call12{flags[rng.IntN(3)], rng.IntN(42) - 1, rng.IntN(42) - 1, normal(rng, 1)[0], normal(rng, 1)[0],
				normal(rng, rng.IntN(2500)), normal(rng, rng.IntN(120)), normal(rng, rng.IntN(120)), rng.IntN(60) - 1, rng.IntN(6) - 2, rng.IntN(6) - 2}
			if i%2 == 0 {
				c.incX, c.incY = 1, 1
			}
			if i%5 == 0 {
				c.alpha, c.beta = float32(rng.IntN(2)), float32(rng.IntN(2))
			}
			if i%50 == 0 {
				c.tA = 'x'
			}
			if i%7 == 0 {
				poison(rng, c.a)
				poison(rng, c.x)
				poison(rng, c.y)
			}
			want, wantResult, wantPanic := c.run(reference{}, f)
			got, gotResult, gotPanic := c.run(blas.Float32{}, f)
			what := fmt.Sprintf("%s %c m %d n %d alpha %v beta %v incX %d incY %d lda %d, lengths %d %d %d", name, c.tA, c.m, c.n, c.alpha, c.beta,
				c.incX, c.incY, c.lda, len(c.a), len(c.x), len(c.y))
			require.Equal(t, wantPanic, gotPanic, what)
			panics[name][fmt.Sprint(gotPanic)]++
			if v, ok := wantResult.(float32); ok {
				requireNear(t, []float32{v}, []float32{gotResult.(float32)}, rounding*10, what) // up to 40 of them in a norm or sum
			} else {
				require.Equal(t, wantResult, gotResult, what)
			}
			requireNear(t, want.a, got.a, rounding, what+": A")
			requireNear(t, want.x, got.x, rounding, what+": x")
			requireNear(t, want.y, got.y, rounding, what+": y")
		}
	}
	for name, kinds := range map[string]int{"Sdot": 6, "Snrm2": 4, "Sasum": 4, "Isamax": 4, "Saxpy": 6, "Sscal": 4, "Sswap": 6, "Srot": 6, "Sgemv": 10, "Sger": 9} {
		assert.Len(t, panics[name], kinds, "%s: kinds of panics and none: %v", name, panics[name])
	}
}

func normal(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

// poison puts NaN, an infinity or a zero somewhere.
func poison(rng *rand.Rand, x []float32) {
	if len(x) > 0 {
		x[rng.IntN(len(x))] = []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 0}[rng.IntN(4)]
	}
}

func requireNear(t *testing.T, want, got []float32, tol float64, what string) {
	t.Helper()
	require.Len(t, got, len(want), what)
	for i, w := range want {
		g := got[i]
		if w == g || w != w && g != g || math.Abs(float64(w)-float64(g)) <= tol {
			continue
		}
		require.Failf(t, "not near", "%s: at %d of %d got %v, want %v", what, i, len(want), g, w)
	}
}
