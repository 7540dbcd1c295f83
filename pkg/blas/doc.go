// Package blas is gonum's float32 BLAS with the matrix product in Go assembly.
//
// Float32 can take the place of gonum's implementation wherever one is asked for: in
// gonum.org/v1/gonum/blas/blas32 and in gorgonia.org/tensor. On amd64 it picks AVX-512 or AVX2 with
// FMA when the program starts, by what the CPU and the operating system support. On other CPUs, and
// with the build tag purego, it runs portable Go. There is no cgo.
//
//	blas32.Use(blas.Float32{}) // from here on, blas32 multiplies with it
//	a := blas32.General{Rows: 64, Cols: 288, Stride: 288, Data: x}  // (N, C)
//	b := blas32.General{Rows: 768, Cols: 288, Stride: 288, Data: w} // (F, C), stored [out, in]
//	c := blas32.General{Rows: 64, Cols: 768, Stride: 768, Data: y}  // (N, F)
//	blas32.Gemm(gblas.NoTrans, gblas.Trans, 1, a, b, 0, c)          // y = x wᵀ; gblas is gonum.org/v1/gonum/blas
//
// # Arithmetic
//
// An element of C = alpha A B + beta C depends on its row of A, its column of B, its old value and
// the two scalars only, bit for bit. It is
//
//	c = beta c
//	for each block of 256 of the k terms, from the first on:
//		s = 0; s = fma(a, b, s) term by term; c = fma(alpha, s, c)
//
// So it does not depend on the shape of the product, on its place in it, on strides and
// transposition, on the number of threads, or on AVX2 against AVX-512: a row multiplied alone has the
// bits it has in a batch. Portable Go rounds products and sums apart; its last bits are its own.
//
// With beta = 0, C is not read, as in the reference BLAS: NaN in it do no harm. NaN and infinities in
// A and B propagate by IEEE 754; gonum's Sgemm skips the zeros of A, so there 0 times Inf is 0.
//
// # Concurrency
//
// Float32 has no state. Sgemm uses up to GOMAXPROCS goroutines where the product is worth it. C must
// not overlap A or B. Scratch memory is pooled and bounded by about 4 MiB for each call under way.
package blas
