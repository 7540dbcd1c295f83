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
// must give the same results however [0, n) is cut.
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
	pieces := min(n/grain, workers*piecesPerWorker)
	var next atomic.Int64
	work := func() {
		for {
			i := int(next.Add(1)) - 1
			if i >= pieces {
				return
			}
			f(i*n/pieces, (i+1)*n/pieces)
		}
	}
	var wg sync.WaitGroup
	wg.Add(workers - 1)
	for range workers - 1 {
		go func() {
			defer wg.Done()
			work()
		}()
	}
	work()
	wg.Wait()
}
