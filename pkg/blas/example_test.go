package blas_test

import (
	"fmt"

	gblas "gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gorgonia.org/tensor"

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

// The matrices of gorgonia are multiplied with it too.
func ExampleFloat32_tensor() {
	tensor.Use(blas.Float32{})

	a := tensor.New(tensor.WithShape(2, 2), tensor.WithBacking([]float32{1, 2, 3, 4}))
	x := tensor.New(tensor.WithShape(2), tensor.WithBacking([]float32{1, -1}))
	y, err := tensor.MatVecMul(a, x)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(y.Data())
	// Output: [-1 -1]
}

func ExampleFloat32_Sgemv() {
	a := []float32{ // 2 by 3
		1, 2, 3,
		4, 5, 6,
	}
	x, y := []float32{1, 0, -1}, make([]float32, 2)
	blas.Float32{}.Sgemv(gblas.NoTrans, 2, 3, 1, a, 3, x, 1, 0, y, 1) // y = A x
	fmt.Println(y)

	z := make([]float32, 3)
	blas.Float32{}.Sgemv(gblas.Trans, 2, 3, 1, a, 3, y, 1, 0, z, 1) // z = Aᵀ y
	fmt.Println(z)
	// Output:
	// [-2 -2]
	// [-10 -14 -18]
}

// A layer's weights are packed once and used for batches of any size.
func ExamplePacked() {
	w := []float32{ // 2 outputs by 3 inputs
		1, 0, -1,
		2, 1, 0,
	}
	p := blas.Pack(gblas.Trans, 3, 2, w, 3) // wᵀ, 3 by 2

	y := make([]float32, 2)
	for _, x := range [][]float32{{1, 2, 3}, {4, 5, 6}} {
		p.Sgemm(1, x, 3, 0, y, 2) // y = x wᵀ
		fmt.Println(y)
	}
	// Output:
	// [-2 4]
	// [-2 13]
}
