package kern

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// piecesPerWorker is how many pieces For cuts for each goroutine, so that a core that was held up
// by something else does not hold up the whole loop.
const piecesPerWorker = 4

// For calls f on pieces [lo, hi) that cover [0, n) exactly once, on at most GOMAXPROCS goroutines,
// the caller's among them, and returns when all are done. A piece has at least grain elements
// unless n has fewer; one piece runs inline. Which goroutine runs which piece is not fixed, so f
// must give the same results however [0, n) is cut. A panic of f, on whichever goroutine, is one of For's caller.
func For(n, grain int, f func(lo, hi int)) {
	if n <= 0 {
		return
	}
	grain = max(grain, 1)
	workers := min(runtime.GOMAXPROCS(0), n/grain)
	if workers <= 1 {
		f(0, n)
		return
	}
	l := &loop{f: f, n: n, pieces: min(n/grain, workers*piecesPerWorker)}
	l.others.Add(workers - 1)
	for range workers - 1 {
		go l.help()
	}
	defer l.join()
	l.work()
}

// loop is a call of For that several goroutines work on.
type loop struct {
	f         func(lo, hi int)
	n, pieces int
	taken     atomic.Int64 // pieces
	others    sync.WaitGroup
	fault     atomic.Pointer[any] // what f panicked with on another goroutine
}

func (l *loop) help() {
	defer l.others.Done()
	defer func() {
		if r := recover(); r != nil {
			fault := r // escapes; r itself would at every call
			l.fault.CompareAndSwap(nil, &fault)
		}
	}()
	l.work()
}

// join waits for the others, also while the caller panics: then nobody may go on writing. A panic that nothing recovers
// would end the process.
func (l *loop) join() {
	l.others.Wait()
	if r := l.fault.Load(); r != nil {
		panic(*r)
	}
}

func (l *loop) work() {
	for {
		i := int(l.taken.Add(1)) - 1
		if i >= l.pieces {
			return
		}
		l.f(i*l.n/l.pieces, (i+1)*l.n/l.pieces)
	}
}
