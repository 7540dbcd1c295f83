// Package blas is a float32 BLAS in Go: gonum's, with the functions that networks and statistics in float32 spend their time in
// written anew, in assembly where it pays. There is no cgo.
//
// Float32 can take the place of gonum's implementation wherever one is asked for: in
// gonum.org/v1/gonum/blas/blas32 and in gorgonia.org/tensor. On amd64 it picks AVX-512 or AVX2 with
// FMA when the program starts, by what the CPU and the operating system support. On other CPUs, and
// with the build tag purego, it runs portable Go.
//
//	blas32.Use(blas.Float32{}) // from here on, blas32 multiplies with it
//	a := blas32.General{Rows: 64, Cols: 288, Stride: 288, Data: x}  // (N, C)
//	b := blas32.General{Rows: 768, Cols: 288, Stride: 288, Data: w} // (F, C), stored [out, in]
//	c := blas32.General{Rows: 64, Cols: 768, Stride: 768, Data: y}  // (N, F)
//	blas32.Gemm(gblas.NoTrans, gblas.Trans, 1, a, b, 0, c)          // y = x wᵀ; gblas is gonum.org/v1/gonum/blas
//
// A matrix that many others are multiplied with, as weights are, can be kept in the order in which Sgemm reads it:
//
//	p := blas.Pack(gblas.Trans, 288, 768, w, 288) // once
//	p.Sgemm(64, x, 288, 0, y, 768)                // the same y, sooner, above all with few rows
//
// # Functions
//
// What is written here, and what is gonum's:
//
//	          here                                     gonum's
//	level 1   Sdot Snrm2 Sasum Isamax                  Sdsdot Dsdot Srotg Srotmg Srotm Scopy
//	          Saxpy Sscal Sswap Srot
//	level 2   Sgemv Sger                               Sgbmv Ssymv Ssbmv Sspmv Ssyr Sspr Ssyr2 Sspr2
//	                                                   Strmv Stbmv Stpmv Strsv Stbsv Stpsv
//	level 3   Sgemm Packed                             Ssymm Ssyrk Ssyr2k Strmm Strsm
//
// Those on the left take assembly for vectors whose elements follow each other, and use up to GOMAXPROCS goroutines where the
// work is worth it: Sgemv and Sger from 65,536 elements of A on, Saxpy, Sscal, Sswap and Srot from 32,768, Sgemm from some 500,000
// products. The four that return a number run on the goroutine of their caller. Vectors with increments other than 1 go through
// plain loops in level 1; Sgemv and Sger copy them first. What is gonum's does not use what is here.
//
// Parameters that do not fit each other make all of them panic, with gonum's words.
//
// # Arithmetic
//
// All results of the functions on the left have the same bits on any number of threads, with AVX2 and with AVX-512, whatever the
// increments and strides.
//
// An element of C = alpha A B + beta C (Sgemm) depends on its row of A, its column of B, its old value and
// the two scalars only, bit for bit. It is
//
//	c = beta c
//	for each block of 256 of the k terms, from the first on:
//		s = 0; s = fma(a, b, s) term by term; c = fma(alpha, s, c)
//
// So it does not depend on the shape of the product, on its place in it, on
// transposition, or on whether B is packed: a row multiplied alone has the
// bits it has in a batch. Portable Go rounds products and sums apart; its last bits are its own.
//
// With beta = 0, C is not read, as in the reference BLAS: NaN in it do no harm. NaN and infinities in
// A and B propagate by IEEE 754; gonum's Sgemm skips the zeros of A, so there 0 times Inf is 0.
//
// All others round products before they are added, in assembly too, so that portable Go gives the same bits:
//
//	Sgemv, NoTrans   y = beta y; y = y + alpha dot(row of A, x)
//	Sgemv, Trans     y = beta y; y = y + (alpha x[i]) A[i][j] for each row i in turn
//	Sger             a = a + (alpha x) y
//	Saxpy            y = y + alpha x
//
// The vector y is not read where beta is 0, nor A and x where alpha is. An element of y that Sgemv computes with NoTrans has the
// bits of Sdot if alpha is 1 and beta 0.
//
// # Sums
//
// Sdot, Sasum and Snrm2 have sixteen lanes: term i adds to lane i mod 16. Then lanes 8 to 15 add to lanes 0 to 7, of those 4 to 7 to
// 0 to 3, and so on. Snrm2 does that in float64, in which squares of float32 are exact.
//
// # Concurrency
//
// Float32 has no state and Packed does not change, so both may be used by many goroutines. What a function writes must not overlap
// what it reads, but for Saxpy, Sswap and Srot with x and y the same vector. Scratch memory is pooled and bounded by about 4 MiB
// for each call of Sgemm under way, and by the lengths of x and y for each of Sgemv and Sger with increments other than 1.
package blas
