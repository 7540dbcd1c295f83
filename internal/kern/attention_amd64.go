//go:build !purego

package kern

//go:generate go -C _asm run ./attn -out ../attention_amd64.s -stubs ../attention_stubs_amd64.go -pkg kern

// softmaxRowsAsm is softmaxRows; ldp is in bytes.
func softmaxRowsAsm(rows, seen, step, width int, p *float32, ldp int, most, sum, decay *float32) {
	if simd == avx512 {
		softmaxRowsAVX512(rows, seen, step, width, p, ldp, most, sum, decay)
	} else {
		softmaxRowsAVX2(rows, seen, step, width, p, ldp, most, sum, decay)
	}
}

// scoreRowsAsm is scoreRows; ld is in bytes.
func scoreRowsAsm(rows, seen, step, width int, p, ds *float32, ld int, lse, delta *float32, alpha float32) {
	if simd == avx512 {
		scoreRowsAVX512(rows, seen, step, width, p, ds, ld, lse, delta, alpha)
	} else {
		scoreRowsAVX2(rows, seen, step, width, p, ds, ld, lse, delta, alpha)
	}
}
