package kern_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/kern"
)

// The tests of the row kernels share: random inputs, a central-difference check, and comparisons by norm and by bits.

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// normals returns n standard normal numbers, each a float32 so that both element types can hold it.
func normals[T kern.Float](rng *rand.Rand, n int) []T {
	x := make([]T, n)
	for i := range x {
		x[i] = T(float32(rng.NormFloat64()))
	}
	return x
}

// filled returns n copies of v: a destination whose untouched elements can be told.
func filled[T kern.Float](n int, v T) []T {
	x := make([]T, n)
	for i := range x {
		x[i] = v
	}
	return x
}

func as[U, T kern.Float](x []T) []U {
	y := make([]U, len(x))
	for i, v := range x {
		y[i] = U(v)
	}
	return y
}

// dot64 is the inner product in float64, the loss of the gradient checks.
func dot64[T kern.Float](a, b []T) float64 {
	s := 0.0
	for i := range a {
		s += float64(a[i]) * float64(b[i])
	}
	return s
}

// requireClose wants the norm of got-want to be at most tol of want's norm, and says where the greatest difference is.
func requireClose[T, U kern.Float](t *testing.T, tol float64, want []U, got []T, what string) {
	t.Helper()
	require.Len(t, got, len(want), what)
	var diff2, norm2, worst float64
	at := -1
	for i := range want {
		d := math.Abs(float64(got[i]) - float64(want[i]))
		diff2 += d * d
		norm2 += float64(want[i]) * float64(want[i])
		if !(d <= worst) {
			worst, at = d, i
		}
	}
	if !(math.Sqrt(diff2) <= tol*math.Sqrt(norm2)) {
		require.Failf(t, "not close", "%s: relative error %.3g > %.3g; at %d got %v, want %v",
			what, math.Sqrt(diff2/norm2), tol, at, got[at], want[at])
	}
}

// requireBits wants the same bits.
func requireBits[T kern.Float](t *testing.T, want, got []T, what string) {
	t.Helper()
	require.Len(t, got, len(want), what)
	for i := range want {
		if math.Float64bits(float64(want[i])) != math.Float64bits(float64(got[i])) {
			require.Failf(t, "other bits", "%s: at %d of %d got %v, want %v", what, i, len(want), got[i], want[i])
		}
	}
}

// requireGrad compares dx, the gradient of loss with respect to x, with central differences.
func requireGrad(t *testing.T, x, dx []float64, loss func() float64, what string) {
	t.Helper()
	const h = 1e-5
	num := make([]float64, len(x))
	for i, old := range x {
		x[i] = old + h
		up := loss()
		x[i] = old - h
		num[i] = (up - loss()) / (2 * h)
		x[i] = old
	}
	requireClose(t, 1e-6, num, dx, what)
	scale := math.Sqrt(dot64(num, num)/float64(len(num))) + 1e-300
	for i := range num {
		require.InDelta(t, num[i], dx[i], 1e-6*scale*10, "%s: element %d", what, i)
	}
}

// onThreads runs f on one and on two threads and returns both results.
func onThreads[T any](f func() T) (one, two T) {
	old := runtime.GOMAXPROCS(1)
	one = f()
	runtime.GOMAXPROCS(2)
	two = f()
	runtime.GOMAXPROCS(old)
	return one, two
}

// eachType runs a test for both element types.
func eachType(t *testing.T, f32 func(*testing.T), f64 func(*testing.T)) {
	t.Run("float32", f32)
	t.Run("float64", f64)
}

func eps[T kern.Float]() float64 {
	var z T
	if _, ok := any(z).(float32); ok {
		return 1e-6
	}
	return 1e-14
}

func caseName(n int) string { return fmt.Sprintf("n=%d", n) }
