package kern

import "sync"

// Scratch buffers, one pool per element type. They hold no state between calls: a buffer's content is undefined when taken.
var scratch32, scratch64 sync.Pool

// take returns a buffer of n elements with undefined content. Give it back with give.
func take[T Float](n int) *[]T {
	p, _ := poolOf[T]().Get().(*[]T)
	if p == nil {
		p = new([]T)
	}
	if cap(*p) < n {
		*p = make([]T, n)
	}
	*p = (*p)[:n]
	return p
}

// give returns a buffer to its pool.
func give[T Float](p *[]T) { poolOf[T]().Put(p) }

func poolOf[T Float]() *sync.Pool {
	var z T
	if _, ok := any(z).(float32); ok {
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
