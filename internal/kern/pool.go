package kern

import "sync"

// borrow takes the state of a loop from its pool. Give it back with giveBack.
func borrow[L any](p *sync.Pool) *L {
	if l, ok := p.Get().(*L); ok { // a pool may hold the states for another element type
		return l
	}
	return new(L)
}

// giveBack returns the state of a loop, which then refers to nothing.
func giveBack[L any](p *sync.Pool, l *L) {
	var zero L
	*l = zero
	p.Put(l)
}
