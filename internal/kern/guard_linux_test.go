package kern_test

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/kern"
)

// guarded returns n floats with memory that must not be touched right behind them or, if first, right before them.
func guarded(t *testing.T, n int, first bool) []float32 {
	t.Helper()
	page := syscall.Getpagesize()
	size := (4*n + page - 1) / page * page
	mem, err := syscall.Mmap(-1, 0, size+2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, syscall.Munmap(mem)) })
	require.NoError(t, syscall.Mprotect(mem[:page], syscall.PROT_NONE))
	require.NoError(t, syscall.Mprotect(mem[page+size:], syscall.PROT_NONE))
	at := page + size - 4*n
	if first {
		at = page
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(mem[at:]))), n)
}

// TestGemmReads finds reads and writes outside A, B and C: they fault, which ends the test binary.
func TestGemmReads(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	for _, name := range kern.Levels() {
		kern.SetLevel(t, name)
		for i, g := range cases(rng, 200) {
			if g.m == 0 || g.n == 0 || g.k == 0 {
				continue
			}
			ends := [3]int{(g.m-1)*(g.k+g.pad) + g.k, (g.k-1)*(g.n+g.pad) + g.n, (g.m-1)*(g.n+g.pad) + g.n}
			lda, ldb := g.k+g.pad, g.n+g.pad
			if g.transA {
				lda, ends[0] = g.m+g.pad, (g.k-1)*(g.m+g.pad)+g.m
			}
			if g.transB {
				ldb, ends[1] = g.k+g.pad, (g.n-1)*(g.k+g.pad)+g.k
			}
			t.Run(fmt.Sprintf("%s/%d", name, i), func(t *testing.T) {
				first := i%2 == 1
				a, b, c := guarded(t, ends[0], first), guarded(t, ends[1], first), guarded(t, ends[2], first)
				kern.GemmSerial(g.transA, g.transB, g.m, g.n, g.k, float32(g.alpha), a, lda, b, ldb, float32(g.beta), c, g.n+g.pad)
			})
		}
	}
}

// TestRowKernelsReads does the same for all other kernels, at every length.
func TestRowKernelsReads(t *testing.T) {
	for _, level := range kern.Levels() {
		kern.SetLevel(t, level)
		for _, k := range rowKernels {
			for n := range 301 {
				t.Run("", func(t *testing.T) { // its memory is given back at its end
					for _, first := range []bool{false, true} {
						k.run(func(n int) []float32 { return guarded(t, n, first)[:n:n] }, n)
					}
				})
			}
		}
	}
}
