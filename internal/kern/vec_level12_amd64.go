//go:build !purego

package kern

//go:generate go -C _asm run ./level12 -out ../vec_level12_amd64.s -stubs ../vec_level12_stubs_amd64.go -pkg kern

// rowsTimes adds alpha * Dot(row i of A, x) to y[i]; A is len(y) by len(x). len(y) is a positive multiple of 4.
func rowsTimes(y []float32, alpha float32, a []float32, lda int, x []float32) {
	switch simd {
	case avx512:
		rowsTimesAVX512(len(y), len(x), alpha, ptr(a), 4*lda, ptr(x), ptr(y))
	case avx2:
		rowsTimesAVX2(len(y), len(x), alpha, ptr(a), 4*lda, ptr(x), ptr(y))
	default:
		rowsTimesGo(y, alpha, a, lda, x)
	}
}

// addRows adds alpha * x[i] times row i of A to y, row after row; A is len(x) by len(y). len(x) is a positive multiple of 4.
func addRows(y []float32, alpha float32, a []float32, lda int, x []float32) {
	switch simd {
	case avx512:
		addRowsAVX512(len(x), len(y), alpha, ptr(a), 4*lda, ptr(x), ptr(y))
	case avx2:
		addRowsAVX2(len(x), len(y), alpha, ptr(a), 4*lda, ptr(x), ptr(y))
	default:
		addRowsGo(y, alpha, a, lda, x)
	}
}

// saxpy is axpy of any length in the widest vectors.
func saxpy(y []float32, alpha float32, x []float32) {
	switch simd {
	case avx512:
		saxpyAVX512(len(y), alpha, ptr(x), ptr(y))
	case avx2:
		saxpyAVX2(len(y), alpha, ptr(x), ptr(y))
	default:
		axpy(y, alpha, x)
	}
}
