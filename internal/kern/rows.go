package kern

import "unsafe"

// Row kernels in float32 run whole vectors of eight in assembly and the rest in Go, which computes the same bits:
//
//	n := vectorPart[T](len(dst))
//	if n > 0 { kernelAsm(n, ptr(dst), ...) }
//	for i := n; i < len(dst); i++ { ... }
//
// So Go rounds every product before it is added: T(a*b) + c, which compilers may not fuse.

// vectorPart is how many of n elements the assembly takes: a multiple of 8; none in float64 or without AVX2.
func vectorPart[T Float](n int) int {
	if !inAsm[T]() {
		return 0
	}
	return n &^ 7
}

// inAsm reports that T has assembly on this machine.
func inAsm[T Float]() bool { return unsafe.Sizeof(T(0)) == 4 && simd != portable }

// ptr is the address of x's first element, for assembly; T is float32.
func ptr[T Float](x []T) *float32 { return (*float32)(unsafe.Pointer(unsafe.SliceData(x))) }
