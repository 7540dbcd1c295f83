// Package parallel spreads loops over cores. The goroutines that help stay for the next loop and
// sleep if none comes.
package parallel

import (
	"runtime"
	"sync"
)

// PiecesPerWorker is how many pieces a loop is cut into for each goroutine, so that a core that was
// held up by something else does not hold up the whole loop.
const PiecesPerWorker = 4

// For calls f on pieces [lo, hi) that cover [0, n) exactly once, on at most GOMAXPROCS goroutines,
// the caller's among them, and returns when all are done. A piece has at least grain elements
// unless n has fewer; one piece runs inline. Which goroutine runs which piece is not fixed, so f
// must give the same results however [0, n) is cut. A panic of f, on whichever goroutine, is one of
// For's caller.
//
// For allocates nothing; an f that captures variables is itself allocated by its caller, unless it
// is kept.
func For(n, grain int, f func(lo, hi int)) { Run(n, grain, rangeFunc(f)) }

// Try is For with an f that may fail, and goes on with other pieces then. Of several errors, that of
// the first piece is given.
func Try(n, grain int, f func(lo, hi int) error) error {
	var mu sync.Mutex
	var first error
	at := n
	For(n, grain, func(lo, hi int) {
		if err := f(lo, hi); err != nil {
			mu.Lock()
			defer mu.Unlock()
			if lo < at {
				first, at = err, lo
			}
		}
	})
	return first
}

// rangeFunc is a function as the body of a loop.
type rangeFunc func(lo, hi int)

// Piece implements Body.
func (f rangeFunc) Piece(lo, hi int) { f(lo, hi) }

// Body is the inside of a parallel loop: Piece computes [lo, hi).
type Body interface{ Piece(lo, hi int) }

// Run is For with a body that may be reused: kernels keep theirs in pools, because a closure would
// be allocated at every call.
func Run(n, grain int, b Body) {
	if n <= 0 {
		return
	}
	grain = max(grain, 1)
	procs := min(runtime.GOMAXPROCS(0), n/grain)
	if procs <= 1 {
		b.Piece(0, n)
		return
	}
	l := team.open(b, n, min(n/grain, procs*PiecesPerWorker), procs-1)
	if l == nil {
		b.Piece(0, n)
		return
	}
	defer team.close(l)
	l.work()
}
