//go:build !amd64 || purego

package kern

func stripAsm(rows, cols, kc int, alpha float32, a []float32, rs, cs int, b []float32, bs, ss int, acc bool, c []float32, ldc int) {
	panic(noAsm)
}

func transpose8(k int, dst, src []float32, ld int) { transpose8Go(k, dst, src, ld) }

func narrowAsm(k, cols int, dst, src []float32, ld int) int { panic(noAsm) }
