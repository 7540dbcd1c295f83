package kern_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/kern"
)

func TestReductions(t *testing.T) {
	eachType(t, testReductions[float32], testReductions[float64])
}

// testReductions compares every length up to 200 with the definition of the sixteen lanes.
func testReductions[T kern.Float](t *testing.T) {
	rng := newRand(1)
	for n := range 200 {
		a, b := normals[T](rng, n), normals[T](rng, n)
		var sum, dot, squares, most = 0.0, 0.0, 0.0, math.Inf(-1)
		var lanes [16]T
		for i := range a {
			sum += float64(a[i])
			dot += float64(a[i]) * float64(b[i])
			squares += float64(a[i]) * float64(a[i])
			most = max(most, float64(a[i]))
			lanes[i%16] += a[i]
		}
		for half := 8; half > 0; half /= 2 {
			for i := range half {
				lanes[i] += lanes[i+half]
			}
		}
		size := math.Sqrt(float64(n)) + 1
		require.Equal(t, lanes[0], kern.Sum(a), "Sum %s", caseName(n))
		require.InDelta(t, sum, float64(kern.Sum(a)), eps[T]()*size, "Sum %s", caseName(n))
		require.InDelta(t, dot, float64(kern.Dot(a, b)), eps[T]()*size, "Dot %s", caseName(n))
		require.InDelta(t, squares, kern.SumSquares(a), 1e-13*size, "SumSquares %s", caseName(n))
		require.Equal(t, most, float64(kern.Max(a)), "Max %s", caseName(n))
	}
}

func TestSumIgnoresTrailingZeros(t *testing.T) {
	x := normals[float32](newRand(2), 100)
	for n := range x {
		padded := append(append([]float32(nil), x[:n]...), make([]float32, 37)...)
		requireBits(t, []float32{kern.Sum(x[:n])}, []float32{kern.Sum(padded)}, caseName(n))
	}
}

func TestMaxKeepsNaN(t *testing.T) {
	nan := float32(math.NaN())
	for n := 1; n < 70; n++ {
		x := make([]float32, n)
		for at := range x {
			x[at] = nan
			require.True(t, math.IsNaN(float64(kern.Max(x))), "NaN at %d of %d", at, n)
			x[at] = 0
		}
	}
	require.True(t, math.IsInf(float64(kern.Max([]float32{})), -1))
}

func TestSumSquaresOfHugeNumbers(t *testing.T) {
	x := filled[float32](33, 1e30)
	require.InEpsilon(t, 33*1e60, kern.SumSquares(x), 1e-6)
}

func TestElementwise(t *testing.T) {
	eachType(t, testElementwise[float32], testElementwise[float64])
}

func testElementwise[T kern.Float](t *testing.T) {
	rng := newRand(3)
	for _, n := range []int{0, 1, 2, 15, 16, 17, 31, 33, 64, 100, 257, 1<<15 + 3} {
		a, b := normals[T](rng, n), normals[T](rng, n)
		sum, scaled, plus := make([]T, n), make([]T, n), make([]T, n)
		for i := range a {
			sum[i] = a[i] + b[i]
			scaled[i] = a[i] * 3
			plus[i] = a[i] + T(-0.5)*b[i] // exact product: fused or not makes no difference
		}
		got := make([]T, n)
		kern.Add(got, a, b)
		requireBits(t, sum, got, "Add")
		copy(got, a)
		kern.AddTo(got, b)
		requireBits(t, sum, got, "AddTo")
		copy(got, a)
		kern.Scale(got, 3)
		requireBits(t, scaled, got, "Scale")
		copy(got, a)
		kern.Axpy(got, -0.5, b)
		requireBits(t, plus, got, "Axpy")
	}
}
