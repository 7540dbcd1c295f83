//go:build !purego

package kern

//go:generate go -C _asm run ./level12 -out ../vec_level12_amd64.s -stubs ../vec_level12_stubs_amd64.go -pkg kern

// dots4 sets out to the sums of a[r*lda+j] * x[j] over j, in the order of Dot, for rows r = 0, 1, 2 and 3.
func dots4(out *[4]float32, a []float32, lda int, x []float32) {
	switch simd {
	case avx512:
		dots4AVX512(len(x), ptr(a), 4*lda, ptr(x), &out[0])
	case avx2:
		dots4AVX2(len(x), ptr(a), 4*lda, ptr(x), &out[0])
	default:
		dots4Go(out, a, lda, x)
	}
}

// axpys4 adds t[r] * a[r*lda+j] to y[j], for r = 0, 1, 2 and 3 in this order.
func axpys4(y []float32, t *[4]float32, a []float32, lda int) {
	switch simd {
	case avx512:
		axpys4AVX512(len(y), ptr(y), ptr(a), 4*lda, &t[0])
	case avx2:
		axpys4AVX2(len(y), ptr(y), ptr(a), 4*lda, &t[0])
	default:
		axpys4Go(y, t, a, lda)
	}
}

// axpys1 adds t * a[j] to y[j].
func axpys1(y []float32, t float32, a []float32) {
	switch simd {
	case avx512:
		axpys1AVX512(len(y), ptr(y), ptr(a), t)
	case avx2:
		axpys1AVX2(len(y), ptr(y), ptr(a), t)
	default:
		axpys1Go(y, t, a)
	}
}
