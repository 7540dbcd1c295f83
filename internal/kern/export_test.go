package kern

import "testing"

// Levels are the instruction sets this machine has, portable Go first.
func Levels() []string { return levelNames[:simd+1] }

var levelNames = []string{"portable", "avx2", "avx512"}

// SetLevel uses the named instruction set until the test ends.
func SetLevel(tb testing.TB, name string) {
	old := simd
	tb.Cleanup(func() { simd = old })
	for i, s := range levelNames {
		if s == name {
			simd = level(i)
		}
	}
}
