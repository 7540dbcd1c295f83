package kern_test

import (
	"testing"

	"github.com/tame-rlhf/tame/internal/kern"
)

// rowKernels run every kernel with assembly of its own over n columns and return everything they write.
var rowKernels = map[string]func(n int) []float32{
	"Sum":        func(n int) []float32 { return []float32{kern.Sum(columns(n, 1))} },
	"Dot":        func(n int) []float32 { return []float32{kern.Dot(columns(n, 1), columns(n, 2))} },
	"SumSquares": func(n int) []float32 { return []float32{float32(kern.SumSquares(columns(n, 1)))} },
	"Max":        func(n int) []float32 { return []float32{kern.Max(columns(n, 1))} },
	"Add": func(n int) []float32 {
		return inPlace(n, func(x []float32) { kern.Add(x, columns(n, 1), columns(n, 2)) })
	},
	"Scale": func(n int) []float32 { return inPlace(n, func(x []float32) { kern.Scale(x, 1.7) }) },
	"Axpy":  func(n int) []float32 { return inPlace(n, func(x []float32) { kern.Axpy(x, 1.7, columns(n, 1)) }) },
	"RMSNorm": func(n int) []float32 {
		return inPlace(n, func(x []float32) { kern.RMSNorm(x, columns(n, 1), columns(n, 2), 1, n, normEps) })
	},
	"RMSNormBackward": func(n int) []float32 {
		return inPlace(2*n, func(d []float32) {
			kern.RMSNormBackward(d[:n], d[n:], columns(n, 1), columns(n, 2), columns(n, 3), 1, n, normEps)
		})
	},
	"RoPE": func(n int) []float32 {
		return inPlace(2*n, func(x []float32) { kern.RoPE(x, 1, 2*n, columns(2*n, 1)) })
	},
	"RoPEBackward": func(n int) []float32 {
		return inPlace(2*n, func(x []float32) { kern.RoPEBackward(x, 1, 2*n, columns(2*n, 1)) })
	},
	"AdamW": func(n int) []float32 {
		return inPlace(3*n, func(x []float32) {
			v := x[2*n:]
			for i := range v {
				v[i] *= v[i]
			}
			kern.AdamW(x[:n], columns(n, 1), x[n:2*n], v, 1e-2, 0.9, 0.95, 1e-5, 0.1, 0.3, 0.2, 0.5)
		})
	},
}

func columns(n int, seed uint64) []float32 { return normals[float32](newRand(seed), n) }

// inPlace runs f on n random numbers followed by a guard, and returns all of them.
func inPlace(n int, f func(x []float32)) []float32 {
	x := columns(n+20, 9)
	f(x[:n:n])
	return x
}

// TestAssemblyBits wants assembly and portable Go to agree to the last bit at every length, and nothing written beyond it.
func TestAssemblyBits(t *testing.T) {
	for name, f := range rowKernels {
		t.Run(name, func(t *testing.T) {
			for n := 1; n <= 150; n++ {
				fast := f(n)
				t.Run("", func(t *testing.T) {
					kern.SetLevel(t, "portable")
					requireBits(t, f(n), fast, caseName(n))
				})
			}
		})
	}
}
