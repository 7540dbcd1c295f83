package kern_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/kern"
)

// matrix is a matrix between margins of NaN, with NaN between its rows too.
type matrix[T kern.Float] struct {
	all, data      []T
	rows, cols, ld int
}

func newMatrix[T kern.Float](rng *rand.Rand, rows, cols, pad int) matrix[T] {
	const margin = 37
	m := matrix[T]{rows: rows, cols: cols, ld: cols + pad}
	size := 0
	if rows > 0 {
		size = (rows-1)*m.ld + cols
	}
	m.all = make([]T, size+2*margin)
	for i := range m.all {
		m.all[i] = T(math.NaN())
	}
	m.data = m.all[margin : margin+size : margin+size]
	for i := range rows {
		for j := range cols {
			m.data[i*m.ld+j] = T(rng.NormFloat64())
		}
	}
	return m
}

func (m matrix[T]) at(trans bool, i, j int) T {
	if trans {
		i, j = j, i
	}
	return m.data[i*m.ld+j]
}

func (m matrix[T]) clone() matrix[T] {
	c := m
	c.all = append([]T(nil), m.all...)
	c.data = c.all[37 : 37+len(m.data)]
	return c
}

// requireMargins checks that the product left alone what is not an element of C.
func (m matrix[T]) requireMargins(t *testing.T) {
	t.Helper()
	for i, v := range m.all {
		p := i - 37
		if p >= 0 && p < len(m.data) && p%m.ld < m.cols {
			continue
		}
		require.True(t, v != v, "element %d outside the matrix became %v", p, v)
	}
}

type gemmCase struct {
	transA, transB bool
	m, n, k, pad   int
	alpha, beta    float64
}

func operands[T kern.Float](rng *rand.Rand, g gemmCase) (a, b, c matrix[T]) {
	a = newMatrix[T](rng, g.m, g.k, g.pad)
	if g.transA {
		a = newMatrix[T](rng, g.k, g.m, g.pad)
	}
	b = newMatrix[T](rng, g.k, g.n, g.pad)
	if g.transB {
		b = newMatrix[T](rng, g.n, g.k, g.pad)
	}
	return a, b, newMatrix[T](rng, g.m, g.n, g.pad)
}

func cases(rng *rand.Rand, count int) []gemmCase {
	sizes := []int{1, 2, 3, 5, 7, 8, 13, 14, 15, 16, 17, 28, 31, 32, 33, 48, 57, 63, 64, 65, 100}
	pick := func() int { return sizes[rng.IntN(len(sizes))] }
	scalars := []float64{0, 1, 1, -0.5}
	all := []gemmCase{{m: 0, n: 3, k: 4, alpha: 1}, {m: 3, n: 0, k: 4, alpha: 1}, {m: 3, n: 4, k: 0, alpha: 1}, {m: 3, n: 4, k: 0, alpha: 1, beta: 2}}
	for i := range count {
		all = append(all, gemmCase{transA: i&1 != 0, transB: i&2 != 0, m: pick(), n: pick(), k: pick() * (1 + 9*(i/4%2)),
			pad: rng.IntN(3) * 5, alpha: scalars[rng.IntN(4)], beta: scalars[rng.IntN(4)]})
	}
	return all
}

func TestGemm(t *testing.T) {
	for _, name := range kern.Levels() {
		t.Run(name+"/float32", func(t *testing.T) { kern.SetLevel(t, name); testGemm[float32](t, 1.0/(1<<24)) })
	}
	t.Run("float64", func(t *testing.T) { testGemm[float64](t, 1.0/(1<<53)) })
}

// testGemm compares with the sum in float64. eps is the largest relative error of one rounding.
func testGemm[T kern.Float](t *testing.T, eps float64) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, g := range cases(rng, 80) {
		a, b, c := operands[T](rng, g)
		old := c.clone()
		if g.beta == 0 { // C must not be read
			for i := range c.data {
				c.data[i] = T(math.NaN())
			}
		}
		kern.Gemm(g.transA, g.transB, g.m, g.n, g.k, T(g.alpha), a.data, a.ld, b.data, b.ld, T(g.beta), c.data, c.ld)
		c.requireMargins(t)
		for i := range g.m {
			for j := range g.n {
				sum, size := 0.0, 0.0
				for p := range g.k {
					x := float64(a.at(g.transA, i, p)) * float64(b.at(g.transB, p, j))
					sum += x
					size += math.Abs(x)
				}
				first := g.beta * float64(old.at(false, i, j))
				want := g.alpha*sum + first
				bound := (math.Abs(g.alpha)*size + math.Abs(first)) * float64(g.k+4) * eps
				if got := float64(c.at(false, i, j)); !(math.Abs(got-want) <= bound) {
					require.InDelta(t, want, got, bound, "%+v: element %d, %d", g, i, j)
				}
			}
		}
	}
}

// TestGemmBits holds the contract: an element is the same in every product that has its row of A
// and its column of B.
func TestGemmBits(t *testing.T) {
	for _, name := range kern.Levels() {
		t.Run(name+"/float32", func(t *testing.T) { kern.SetLevel(t, name); testGemmBits[float32](t) })
	}
	t.Run("float64", testGemmBits[float64])
}

func testGemmBits[T kern.Float](t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, g := range []gemmCase{
		{m: 130, n: 75, k: 600, beta: 0},
		{m: 61, n: 33, k: 300, beta: 1, pad: 3},
		{m: 300, n: 100, k: 64, beta: 1, transA: true},
		{m: 70, n: 200, k: 513, beta: 0, transB: true},
		{m: 33, n: 40, k: 257, beta: 1, transA: true, transB: true, pad: 1},
		{m: 4, n: 600, k: 2500, beta: 0, transB: true}, // several panels of B
		{m: 20, n: 100, k: 1024, beta: 0},              // rows of A 4 KiB apart
		{m: 60, n: 100, k: 40, beta: 1, pad: 924},      // rows of B 4 KiB apart
		{m: 257, n: 40, k: 40, beta: 0},                // B packed although not transposed
	} {
		a, b, c := operands[T](rng, g)
		start := c.clone()
		kern.Gemm(g.transA, g.transB, g.m, g.n, g.k, 1, a.data, a.ld, b.data, b.ld, T(g.beta), c.data, c.ld)

		check := func(how string, i0, m, j0, n int, run func(d []T)) {
			d := start.clone()
			run(d.data[i0*d.ld+j0:])
			for i := i0; i < i0+m; i++ {
				for j := j0; j < j0+n; j++ {
					if c.at(false, i, j) != d.at(false, i, j) {
						require.Equal(t, c.at(false, i, j), d.at(false, i, j), "%+v %s: element %d, %d", g, how, i, j)
					}
				}
			}
		}
		part := func(i0, m, j0, n int) func(d []T) {
			return func(d []T) {
				skipA, skipB := i0*a.ld, j0
				if g.transA {
					skipA = i0
				}
				if g.transB {
					skipB = j0 * b.ld
				}
				x, y := a.data[skipA:], b.data[skipB:]
				kern.GemmSerial(g.transA, g.transB, m, n, g.k, 1, x, a.ld, y, b.ld, T(g.beta), d, start.ld)
			}
		}
		check("serial", 0, g.m, 0, g.n, part(0, g.m, 0, g.n))
		for i := 0; i < g.m; i += 7 {
			check("one row", i, 1, 0, g.n, part(i, 1, 0, g.n))
		}
		for j := 0; j < g.n; j += 11 {
			check("one column", 0, g.m, j, 1, part(0, g.m, j, 1))
		}
		for range 10 {
			i, j := rng.IntN(g.m), rng.IntN(g.n)
			m, n := 1+rng.IntN(g.m-i), 1+rng.IntN(g.n-j)
			check("part", i, m, j, n, part(i, m, j, n))
		}
		if !g.transA {
			packed := kern.Pack(g.transB, g.k, g.n, b.data, b.ld)
			check("packed", 0, g.m, 0, g.n, func(d []T) {
				kern.GemmPacked(g.m, a.data, a.ld, packed, T(g.beta), d, c.ld)
			})
			check("packed row", g.m/2, 1, 0, g.n, func(d []T) {
				kern.GemmPacked(1, a.data[g.m/2*a.ld:], a.ld, packed, T(g.beta), d, c.ld)
			})
		}
	}
}

// TestGemmPackedRow wants the bits of Gemm of one row and packed weights, which have tiles of their own, at every width.
func TestGemmPackedRow(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for _, name := range kern.Levels() {
		kern.SetLevel(t, name)
		for n := 1; n <= 2*64+1; n++ {
			g := gemmCase{m: 1, n: n, k: 300}
			a, b, c := operands[float32](rng, g)
			want, beta := c.clone(), float32(n%2)
			kern.Gemm(false, false, 1, n, g.k, 1, a.data, a.ld, b.data, b.ld, beta, want.data, want.ld)
			kern.GemmPacked(1, a.data, a.ld, kern.Pack(false, g.k, n, b.data, b.ld), beta, c.data, c.ld)
			c.requireMargins(t)
			require.Equal(t, want.data, c.data, "%s, %d columns", name, n)
		}
	}
}

// TestGemmLevels wants the same bits of AVX2 and AVX-512, and of one and several goroutines.
func TestGemmLevels(t *testing.T) {
	if len(kern.Levels()) < 3 {
		t.Skip("needs AVX-512")
	}
	rng := rand.New(rand.NewPCG(5, 6))
	all := append(cases(rng, 60), gemmCase{m: 300, n: 290, k: 520, alpha: 1}, gemmCase{m: 600, n: 32, k: 64, alpha: 0.3, beta: 1, transB: true})
	for _, g := range all {
		a, b, c := operands[float32](rng, g)
		run := func(level string, procs int) []float32 {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			kern.SetLevel(t, level)
			d := c.clone()
			kern.Gemm(g.transA, g.transB, g.m, g.n, g.k, float32(g.alpha), a.data, a.ld, b.data, b.ld, float32(g.beta), d.data, d.ld)
			d.requireMargins(t)
			return bitsOfNaN(d.data)
		}
		want := run("avx512", 1)
		assert.Equal(t, want, run("avx512", 3), "%+v: goroutines", g)
		assert.Equal(t, want, run("avx2", 2), "%+v: AVX2", g)
	}
}

// bitsOfNaN replaces the NaN between rows, which equal nothing.
func bitsOfNaN(x []float32) []float32 {
	for i, v := range x {
		if v != v {
			x[i] = -1234
		}
	}
	return x
}

func TestGemmChecks(t *testing.T) {
	x := make([]float32, 6)
	for name, f := range map[string]func(){
		"A":      func() { kern.Gemm(false, false, 2, 2, 3, 1, x[:5], 3, x, 2, 0, x, 2) },
		"B":      func() { kern.Gemm(false, false, 2, 2, 3, 1, x, 3, x[:5], 2, 0, x, 2) },
		"C":      func() { kern.Gemm(false, false, 2, 2, 3, 1, x, 3, x, 2, 0, x[:3], 2) },
		"lda":    func() { kern.Gemm(true, false, 3, 1, 2, 1, x, 2, x, 1, 0, x, 1) },
		"m":      func() { kern.Gemm(false, false, -1, 1, 2, 1, x, 2, x, 1, 0, x, 1) },
		"packed": func() { kern.GemmPacked(2, x[:5], 3, kern.Pack(false, 3, 2, x, 2), 0, x, 2) },
	} {
		assert.Panics(t, f, name)
	}
	assert.NotPanics(t, func() { kern.Gemm(true, false, 3, 1, 2, 1, x, 3, x, 1, 0, x, 1) })
}

func TestGemmAllocations(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	a, b, c := operands[float32](rng, gemmCase{m: 64, n: 64, k: 32, transB: true})
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		kern.GemmSerial(false, true, 64, 64, 32, 1, a.data, a.ld, b.data, b.ld, 0, c.data, c.ld)
	}))
}

func BenchmarkGemm(b *testing.B) {
	for _, s := range []struct {
		name    string
		m, n, k int
		serial  bool
		packed  bool
		tA, tB  bool
		ldExtra int
	}{
		{name: "Linear", m: 1024, n: 768, k: 768, tB: true},
		{name: "Linear", m: 1024, n: 768, k: 768, tB: true, serial: true},
		{name: "NN", m: 512, n: 512, k: 512},
		{name: "NN", m: 512, n: 512, k: 512, serial: true},
		{name: "Linear", m: 256, n: 288, k: 288, tB: true},
		{name: "Linear", m: 256, n: 288, k: 288, tB: true, serial: true},
		{name: "Linear", m: 64, n: 288, k: 768, tB: true},
		{name: "Linear", m: 256, n: 128, k: 384, tB: true},
		{name: "dX", m: 1024, n: 288, k: 768},
		{name: "dW", m: 768, n: 288, k: 1024, tA: true},
		{name: "dW", m: 768, n: 288, k: 1024, tA: true, serial: true},
		{name: "Packed", m: 1, n: 768, k: 768, packed: true},
		{name: "Packed", m: 8, n: 768, k: 768, packed: true},
		{name: "Packed", m: 32, n: 768, k: 768, packed: true},
		{name: "Scores", m: 64, n: 64, k: 32, serial: true, tB: true, ldExtra: 832},
		{name: "Scores", m: 64, n: 64, k: 64, serial: true, tB: true, ldExtra: 2240},
		{name: "PV", m: 64, n: 32, k: 64, serial: true, ldExtra: 832},
		{name: "dV", m: 64, n: 32, k: 64, serial: true, tA: true, ldExtra: 32},
		{name: "Row", m: 1, n: 64, k: 32, serial: true, tB: true, ldExtra: 832},
	} {
		how := "par"
		if s.serial {
			how = "serial"
		}
		b.Run(fmt.Sprintf("%s/%dx%dx%d/%s", s.name, s.m, s.n, s.k, how), func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 2))
			g := gemmCase{m: s.m, n: s.n, k: s.k, transA: s.tA, transB: s.tB, pad: s.ldExtra}
			x, y, z := operands[float32](rng, g)
			f := kern.Gemm[float32]
			if s.serial {
				f = kern.GemmSerial[float32]
			}
			p := kern.Pack(s.tB, s.k, s.n, y.data, y.ld)
			b.ReportAllocs()
			for b.Loop() {
				if s.packed {
					kern.GemmPacked(s.m, x.data, x.ld, p, 0, z.data, z.ld)
				} else {
					f(s.tA, s.tB, s.m, s.n, s.k, 1, x.data, x.ld, y.data, y.ld, 0, z.data, z.ld)
				}
			}
			b.ReportMetric(2*float64(s.m)*float64(s.n)*float64(s.k)*float64(b.N)/1e9/b.Elapsed().Seconds(), "GFLOP/s")
		})
	}
}
