package kern_test

import (
	"fmt"

	"github.com/tame-rlhf/tame/internal/kern"
	"github.com/tame-rlhf/tame/internal/parallel"
)

// A linear layer: y (N, F) = x (N, C) wᵀ, with w (F, C) stored [out, in].
func ExampleGemm() {
	const n, c, f = 2, 3, 2
	x := []float32{1, 2, 3, 4, 5, 6}
	w := []float32{1, 0, -1, 2, 1, 0}
	y := make([]float32, n*f)
	kern.Gemm(false, true, n, f, c, 1, x, c, w, c, 0, y, f)
	fmt.Println(y)
	// Output: [-2 4 -2 13]
}

// The same weights for many products of few rows, as in decoding.
func ExampleGemmPacked() {
	w := kern.Pack(true, 3, 2, []float32{1, 0, -1, 2, 1, 0}, 3)
	y := make([]float32, 2)
	kern.GemmPacked(1, []float32{4, 5, 6}, 3, w, 0, y, 2)
	fmt.Println(y)
	// Output: [-2 13]
}

func ExampleFor() {
	squares := make([]int, 5)
	parallel.For(len(squares), 1, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			squares[i] = i * i
		}
	})
	fmt.Println(squares)
	// Output: [0 1 4 9 16]
}

func ExampleExp() {
	x := []float32{0, 1, -1}
	kern.Exp(x, x)
	fmt.Printf("%.4f\n", x)
	// Output: [1.0000 2.7183 0.3679]
}
