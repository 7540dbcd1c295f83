//go:build !amd64 || purego

package kern

func exp32(dst, src []float32) { exp32Go(dst, src) }
