package kern_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/kern"
)

// lanes16 is the definition of all sums along a vector: term i adds to lane i mod 16, then lanes 8, 4, 2 and 1 apart.
func lanes16[T kern.Float](n int, term func(i int) T) T {
	var acc [16]T
	for i := range n {
		acc[i%16] += term(i)
	}
	for half := 8; half > 0; half /= 2 {
		for i := range half {
			acc[i] += acc[i+half]
		}
	}
	return acc[0]
}

// apart returns the elements of x inc apart, in order, and that vector: with -1 between elements and before a negative one's end.
func apart(x []float32, inc int) []float32 {
	n, step := len(x), max(inc, -inc)
	y := filled[float32]((n-1)*step+1, -1)
	for i, v := range x {
		if inc < 0 {
			i = n - 1 - i
		}
		y[i*step] = v
	}
	return y
}

func TestLevel1(t *testing.T) {
	for _, level := range kern.Levels() {
		t.Run(level, func(t *testing.T) {
			kern.SetLevel(t, level)
			for n := range 301 {
				testLevel1(t, n)
			}
		})
	}
}

func testLevel1(t *testing.T, n int) {
	rng := newRand(uint64(n))
	x, y := normals[float32](rng, n), normals[float32](rng, n)
	want := lanes16(n, func(i int) float32 { return float32(math.Abs(float64(x[i]))) })
	requireBits(t, []float32{want}, []float32{kern.Sasum(x)}, "Sasum")
	dot := lanes16(n, func(i int) float32 { p := x[i] * y[i]; return p })
	requireBits(t, []float32{dot}, []float32{kern.Dot(x, y)}, "Dot")
	squares := lanes16(n, func(i int) float64 { return float64(x[i]) * float64(x[i]) })
	requireBits(t, []float64{squares}, []float64{kern.SumSquares(x)}, "SumSquares")
	if n > 0 {
		requireBits(t, []float32{want}, []float32{kern.SasumInc(n, apart(x, -3), -3)}, "SasumInc")
		requireBits(t, []float32{dot}, []float32{kern.SdotInc(n, apart(x, 2), 2, apart(y, -3), -3)}, "SdotInc")
		requireBits(t, []float64{squares}, []float64{kern.SumSquaresInc(n, apart(x, 4), 4)}, "SumSquaresInc")
	}

	scaled, turnedX, turnedY := make([]float32, n), make([]float32, n), make([]float32, n)
	for i := range x {
		scaled[i] = x[i] * 3
		p, q, r, s := 0.6*x[i], 0.8*y[i], 0.6*y[i], 0.8*x[i]
		turnedX[i], turnedY[i] = p+q, r-s
	}
	a, b := append([]float32(nil), x...), append([]float32(nil), y...)
	kern.Sscal(3, a)
	requireBits(t, scaled, a, "Sscal")
	copy(a, x)
	kern.Sswap(a, b)
	requireBits(t, y, a, "Sswap x")
	requireBits(t, x, b, "Sswap y")
	kern.Sswap(a, b)
	plus := make([]float32, n)
	for i := range x {
		p := 0.3 * x[i]
		plus[i] = y[i] + p
	}
	added := append([]float32(nil), y...)
	kern.Saxpy(0.3, x, added)
	requireBits(t, plus, added, "Saxpy")
	kern.Srot(a, b, 0.6, 0.8)
	requireBits(t, turnedX, a, "Srot x")
	requireBits(t, turnedY, b, "Srot y")
}

func TestIsamax(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	for _, level := range kern.Levels() {
		kern.SetLevel(t, level)
		require.Equal(t, -1, kern.Isamax(nil))
		for n := 1; n <= 300; n++ {
			x := make([]float32, n)
			for at := range x {
				x[at] = -2
				x[n-1-at/2] += 1e-3 // another, less than or, if it is the same one, near 2
				require.Equal(t, firstMaxAbs(x), kern.Isamax(x), "%s: %d of %d", level, at, n)
				x[at], x[n-1-at/2] = 0, 0
				x[at] = nan
				require.Equal(t, 0, kern.Isamax(x), "%s: NaN at %d of %d", level, at, n)
				x[0] = -1
				require.Equal(t, 0, kern.Isamax(x), "%s: NaN at %d of %d", level, at, n)
				x[n-1] = inf
				require.Equal(t, firstMaxAbs(x), kern.Isamax(x), "%s: NaN at %d, Inf at the end of %d", level, at, n)
				x[at], x[0], x[n-1] = 0, 0, 0
			}
		}
		for n := 17; n < 80; n++ { // NaN in the lane of the greatest number, before and after it
			x := normals[float32](newRand(uint64(n)), n)
			x[n-17], x[n-1] = -9, nan
			require.Equal(t, n-17, kern.Isamax(x), "%s: n %d, NaN last", level, n)
			if n > 17 {
				x[n-17], x[n-1] = nan, 9
				require.Equal(t, n-1, kern.Isamax(x), "%s: n %d, NaN first", level, n)
			}
		}
		for _, n := range []int{1023, 1024, 1025, 5000} { // several blocks, the greatest number in two of them
			x := normals[float32](newRand(uint64(n)), n)
			x[n/2], x[n-1] = -9, 9
			require.Equal(t, n/2, kern.Isamax(x), "%s: n %d", level, n)
		}
	}
}

func firstMaxAbs(x []float32) int {
	at := 0
	for i, v := range x {
		if math.Abs(float64(v)) > math.Abs(float64(x[at])) {
			at = i
		}
	}
	return at
}

// TestLevel1Threads wants the bits of one goroutine from two.
func TestLevel1Threads(t *testing.T) {
	const n = 1<<16 + 5
	rng := newRand(5)
	x, y := normals[float32](rng, n), normals[float32](rng, n)
	for name, f := range map[string]func(x, y []float32){
		"Saxpy": func(x, y []float32) { kern.Saxpy(0.3, x, y) },
		"Sscal": func(x, _ []float32) { kern.Sscal(0.3, x) },
		"Sswap": kern.Sswap,
		"Srot":  func(x, y []float32) { kern.Srot(x, y, 0.6, 0.8) },
	} {
		one, two := onThreads(func() []float32 {
			x, y := append([]float32(nil), x...), append([]float32(nil), y...)
			f(x, y)
			return append(x, y...)
		})
		requireBits(t, one, two, name)
	}
}

func TestLevel1Allocates(t *testing.T) {
	if raceDetector {
		t.Skip("under the race detector pools drop what they hold")
	}
	const m, n = 300, 500
	x, y, a := make([]float32, n), make([]float32, n), make([]float32, m*n)
	for name, f := range map[string]func(){
		"Sscal":                 func() { kern.Sscal(2, a) },
		"Sswap":                 func() { kern.Sswap(x, y) },
		"Sgemv":                 func() { kern.Sgemv(false, m, n, 1, a, n, x, 1, 0, y[:m], 1) },
		"Sgemv with increments": func() { kern.Sgemv(true, 1, n/2, 1, a, n, x, 1, 0, y, -2) },
		"Sger":                  func() { kern.Sger(m, n, 1, x, -1, y, 1, a, n) },
	} {
		require.Less(t, testing.AllocsPerRun(100, f), 1.0, name)
	}
}

func BenchmarkLevel1(b *testing.B) {
	for _, n := range []int{100, 4096, 1 << 20} {
		x, y := normals[float32](newRand(1), n), normals[float32](newRand(2), n)
		for _, f := range []struct {
			name string
			f    func()
		}{
			{"Dot", func() { kern.Dot(x, y) }},
			{"Sasum", func() { kern.Sasum(x) }},
			{"Isamax", func() { kern.Isamax(x) }},
			{"Saxpy", func() { kern.Saxpy(1e-9, x, y) }},
			{"Sscal", func() { kern.Sscal(1, x) }},
			{"Sswap", func() { kern.Sswap(x, y) }},
		} {
			b.Run(fmt.Sprintf("%s/%d", f.name, n), func(b *testing.B) {
				for b.Loop() {
					f.f()
				}
				b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e9, "Gelem/s")
			})
		}
	}
}
