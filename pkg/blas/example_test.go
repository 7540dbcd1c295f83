package blas_test

import (
	"fmt"

	gblas "gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/tame-rlhf/tame/pkg/blas"
)

func ExampleFloat32() {
	blas32.Use(blas.Float32{})

	x := blas32.General{Rows: 2, Cols: 3, Stride: 3, Data: []float32{
		1, 2, 3,
		4, 5, 6,
	}}
	w := blas32.General{Rows: 2, Cols: 3, Stride: 3, Data: []float32{ // stored [out, in]
		1, 0, -1,
		2, 1, 0,
	}}
	y := blas32.General{Rows: 2, Cols: 2, Stride: 2, Data: make([]float32, 4)}
	blas32.Gemm(gblas.NoTrans, gblas.Trans, 1, x, w, 0, y) // y = x wᵀ
	fmt.Println(y.Data)
	// Output: [-2 4 -2 13]
}
