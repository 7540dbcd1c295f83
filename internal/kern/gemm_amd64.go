//go:build !purego

package kern

// stripAsm is strip in assembly.
func stripAsm(rows, cols, kc int, alpha float32, a []float32, rs, cs int, b []float32, bs, ss int, acc bool, c []float32, ldc int) {
	add := 0
	if acc {
		add = 1
	}
	if simd == avx512 {
		stripAVX512(rows, cols, kc, alpha, &a[0], 4*rs, 4*cs, &b[0], 4*bs, 4*ss, add, &c[0], 4*ldc)
	} else {
		stripAVX2(rows, cols, kc, alpha, &a[0], 4*rs, 4*cs, &b[0], 4*bs, 4*ss, add, &c[0], 4*ldc)
	}
}

// narrowAsm is narrow in assembly.
func narrowAsm(k, cols int, dst, src []float32, ld int) int {
	if simd == avx512 {
		narrowAVX512(k, cols, &dst[:16*k][0], &src[0], 4*ld)
		return 16
	}
	narrowAVX2(k, cols, &dst[:8*k][0], &src[0], 4*ld)
	return 8
}

// transpose8 sets dst[sliver*p+j] = src[j*ld+p] for p in [0, k), j in [0, 8).
func transpose8(k int, dst, src []float32, ld int) {
	if simd == portable {
		transpose8Go(k, dst, src, ld)
		return
	}
	whole := k &^ 7
	if whole > 0 {
		transpose8AVX2(whole, &dst[0], &src[0], 4*ld)
	}
	if whole < k {
		transpose8Go(k-whole, dst[sliver*whole:], src[whole:], ld)
	}
}
