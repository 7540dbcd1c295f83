package kern_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/kern"
)

var inf = float32(math.Inf(1))

func exp1(x float32) float32 {
	y := []float32{x}
	kern.Exp(y, y)
	return y[0]
}

// ulpsOff is the distance of got from want in units of got's last place, or of the least normal number's.
func ulpsOff(got float32, want float64) float64 {
	next := math.Nextafter32(float32(math.Max(float64(got), 0x1p-126)), inf)
	return math.Abs(float64(got)-want) / (float64(next) - math.Max(float64(got), 0x1p-126))
}

func TestExp(t *testing.T) {
	for _, name := range kern.Levels() {
		t.Run(name, func(t *testing.T) {
			kern.SetLevel(t, name)
			assert.Equal(t, float32(1), exp1(0))
			assert.Equal(t, float32(1), exp1(float32(math.Copysign(0, -1))))
			assert.Zero(t, exp1(-inf))
			assert.Zero(t, exp1(-1e30))
			assert.Zero(t, exp1(-100), "no denormals")
			assert.Equal(t, inf, exp1(inf))
			assert.Equal(t, inf, exp1(88.73))
			nan := exp1(float32(math.NaN()))
			assert.True(t, nan != nan)

			// The borders of the normal numbers, found in float64.
			low, high := float32(math.Log(0x1p-126)), float32(math.Log(math.MaxFloat32))
			for range 3 {
				low, high = math.Nextafter32(low, -inf), math.Nextafter32(high, -inf)
			}
			for range 6 {
				if math.Exp(float64(low)) < 0x1p-126 {
					assert.Zero(t, exp1(low), "%x", low)
				} else {
					assert.InDelta(t, 0, ulpsOff(exp1(low), math.Exp(float64(low))), 2, "%x", low)
				}
				if math.Exp(float64(high)) > math.MaxFloat32 {
					assert.Equal(t, inf, exp1(high), "%x", high)
				} else {
					assert.InDelta(t, 0, ulpsOff(exp1(high), math.Exp(float64(high))), 2, "%x", high)
				}
				low, high = math.Nextafter32(low, inf), math.Nextafter32(high, inf)
			}

			// Floats between the borders, evenly by bits: many are near 0.
			x, y := make([]float32, 0, 1<<20), make([]float32, 1<<20)
			for bits := uint32(0); float64(math.Float32frombits(bits)) < 88.7; bits += 2477 {
				v := math.Float32frombits(bits)
				if v < 87.3 {
					x = append(x, -v)
				}
				x = append(x, v)
			}
			y = append(y, x...)[:len(x)]
			kern.Exp(y, x)
			worst := 0.0
			for i, v := range x {
				worst = max(worst, ulpsOff(y[i], math.Exp(float64(v))))
			}
			assert.Less(t, worst, 1.0, "ulp")
			t.Logf("largest error: %.3f ulp", worst)
		})
	}
}

// TestExpPlaces wants the same bits at every place of a slice of every length, of both instruction sets, and nothing written outside.
func TestExpPlaces(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for n := range 101 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(rng.NormFloat64()) * 40
		}
		var want []float32
		for _, name := range kern.Levels()[min(1, len(kern.Levels())-1):] {
			kern.SetLevel(t, name)
			y := make([]float32, n+2)
			y[0], y[n+1] = -7, -7
			kern.Exp(y[1:n+1], x)
			require.Equal(t, []float32{-7, -7}, []float32{y[0], y[n+1]})
			for i, v := range x {
				require.Equal(t, exp1(v), y[1+i], "%s: element %d of %d", name, i, n)
			}
			if want == nil {
				want = y
			}
			require.Equal(t, want, y, name)
		}
	}
}

func TestExpFloat64(t *testing.T) {
	x := []float64{0, 1, -3, math.Inf(-1)}
	kern.Exp(x, x)
	assert.Equal(t, []float64{1, math.Exp(1), math.Exp(-3), 0}, x)
}

func BenchmarkExp(b *testing.B) {
	for _, name := range kern.Levels() {
		b.Run(name, func(b *testing.B) {
			kern.SetLevel(b, name)
			x, y := make([]float32, 4096), make([]float32, 4096)
			for i := range x {
				x[i] = -float32(i) / 64
			}
			b.SetBytes(4 * 4096)
			for b.Loop() {
				kern.Exp(y, x)
			}
		})
	}
}
