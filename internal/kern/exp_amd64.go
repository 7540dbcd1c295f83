//go:build !purego

package kern

import "unsafe"

// exp32 is Exp of float32; dst is not shorter than src.
func exp32(dst, src []float32) {
	switch simd {
	case avx512:
		expAVX512(len(src), unsafe.SliceData(dst), unsafe.SliceData(src))
	case avx2:
		expAVX2(len(src), unsafe.SliceData(dst), unsafe.SliceData(src))
	default:
		exp32Go(dst, src)
	}
}
