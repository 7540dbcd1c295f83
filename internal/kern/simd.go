package kern

// level is a vector instruction set that the assembly is written for.
type level int

const (
	portable level = iota // Go only
	avx2                  // AVX2 and FMA
	avx512                // AVX-512F beside AVX2 and FMA
)

// simd is the level in use: the highest that the CPU and the operating system support. AVX2 and
// AVX-512 give the same bits. Portable Go has no fused multiply-add for float32, so its last bits
// differ.
var simd = detect()
