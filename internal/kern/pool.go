package kern

import (
	"sync"

	"github.com/tame-rlhf/tame/internal/parallel"
)

// borrow takes the state of a loop from its pool. Give it back with giveBack.
func borrow[L any](p *sync.Pool) *L {
	if l, ok := p.Get().(*L); ok { // a pool may hold the states for another element type
		return l
	}
	return new(L)
}

// run runs a loop on up to GOMAXPROCS goroutines, with a state from its pool, see parallel.Run.
func run[L any, P interface {
	*L
	parallel.Body
}](p *sync.Pool, n, grain int, loop L) {
	l := borrow[L](p)
	defer giveBack(p, l)
	*l = loop
	parallel.Run(n, grain, P(l))
}

// giveBack returns the state of a loop, which then refers to nothing.
func giveBack[L any](p *sync.Pool, l *L) {
	var zero L
	*l = zero
	p.Put(l)
}
