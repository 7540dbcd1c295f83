package kern

import (
	"runtime"
	"sync"
)

// piecesPerWorker is how many pieces For cuts for each goroutine, so that a core that was held up
// by something else does not hold up the whole loop.
const piecesPerWorker = 4

// For calls f on pieces [lo, hi) that cover [0, n) exactly once, on at most GOMAXPROCS goroutines,
// the caller's among them, and returns when all are done. A piece has at least grain elements
// unless n has fewer; one piece runs inline. Which goroutine runs which piece is not fixed, so f
// must give the same results however [0, n) is cut. A panic of f, on whichever goroutine, is one of For's caller.
//
// For allocates nothing; an f that captures variables is itself allocated by its caller, unless it is kept.
func For(n, grain int, f func(lo, hi int)) { spread(n, grain, rangeFunc(f)) }

// rangeFunc is a function as the body of a loop.
type rangeFunc func(lo, hi int)

func (f rangeFunc) piece(lo, hi int) { f(lo, hi) }

// body is the inside of a parallel loop over [lo, hi).
type body interface{ piece(lo, hi int) }

// spread is For with a body that may be reused: kernels keep theirs in pools, because a closure would be allocated at every
// call.
func spread(n, grain int, b body) {
	if n <= 0 {
		return
	}
	grain = max(grain, 1)
	procs := min(runtime.GOMAXPROCS(0), n/grain)
	if procs <= 1 {
		b.piece(0, n)
		return
	}
	l := team.open(b, n, min(n/grain, procs*piecesPerWorker), procs-1)
	if l == nil {
		b.piece(0, n)
		return
	}
	defer team.close(l)
	l.work()
}

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
