package kern

import (
	"math/bits"
	"sync"
	"unsafe"
)

// Scratch buffers: a pool per element type and size class, class i holding buffers of 1<<i elements. They keep no state
// between calls: a buffer's content is undefined when taken.
var scratch32, scratch64 [bits.UintSize]sync.Pool

// take returns a buffer of n elements with undefined content. Give it back with give.
func take[T Float](n int) *[]T {
	class := sizeClass(n)
	if p, ok := scratch[T]()[class].Get().(*[]T); ok {
		*p = (*p)[:n]
		return p
	}
	s := make([]T, n, 1<<class)
	return &s
}

// give returns a buffer to its pool.
func give[T Float](p *[]T) { scratch[T]()[sizeClass(cap(*p))].Put(p) }

func sizeClass(n int) int { return bits.Len(uint(max(n, 1) - 1)) }

func scratch[T Float]() *[bits.UintSize]sync.Pool {
	if unsafe.Sizeof(T(0)) == 4 {
		return &scratch32
	}
	return &scratch64
}

// carve cuts the first n elements off buf.
func carve[T any](buf *[]T, n int) []T {
	s := (*buf)[:n:n]
	*buf = (*buf)[n:]
	return s
}
