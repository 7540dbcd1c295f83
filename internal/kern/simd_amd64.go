//go:build !purego

package kern

import "golang.org/x/sys/cpu"

//go:generate go -C _asm run ./gemm -out ../gemm_amd64.s -stubs ../gemm_stubs_amd64.go -pkg kern
//go:generate go -C _asm run ./rows -out ../rows_amd64.s -stubs ../rows_stubs_amd64.go -pkg kern
//go:generate go -C _asm run ./exp -out ../exp_amd64.s -stubs ../exp_stubs_amd64.go -pkg kern

// detect asks the CPU; package cpu also checks that the operating system saves the registers.
func detect() level {
	x := &cpu.X86
	switch {
	case !x.HasAVX2 || !x.HasFMA:
		return portable
	case !x.HasAVX512F || !x.HasBMI2:
		return avx2
	}
	return avx512
}
