package parallel_test

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/tame-rlhf/tame/internal/parallel"
)

func TestFor(t *testing.T) {
	for _, procs := range []int{1, 2, 5} {
		old := runtime.GOMAXPROCS(procs)
		for _, n := range []int{0, 1, 2, 7, 64, 1000} {
			for _, grain := range []int{0, 1, 3, 64, 2000} {
				seen := make([]atomic.Int32, n)
				var pieces atomic.Int32
				parallel.For(n, grain, func(lo, hi int) {
					pieces.Add(1)
					assert.True(t, hi-lo >= min(grain, n) && hi > lo, "n %d grain %d: piece [%d, %d)", n, grain, lo, hi)
					for i := lo; i < hi; i++ {
						seen[i].Add(1)
					}
				})
				for i := range seen {
					assert.EqualValues(t, 1, seen[i].Load(), "n %d grain %d: element %d", n, grain, i)
				}
				if procs == 1 && n > 0 {
					assert.EqualValues(t, 1, pieces.Load(), "inline")
				}
			}
		}
		runtime.GOMAXPROCS(old)
	}
}

// TestForPanics: the caller can recover from a panic on any goroutine, and none of them works on after that.
func TestForPanics(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	for bad := range 16 {
		var running atomic.Int64
		assert.PanicsWithValue(t, "bad piece", func() {
			parallel.For(16, 1, func(lo, hi int) {
				running.Add(1)
				defer running.Add(-1)
				if lo <= bad && bad < hi {
					panic("bad piece")
				}
				time.Sleep(time.Millisecond)
			})
		})
		assert.Zero(t, running.Load())
	}
}

// The error of the first piece that failed is given, whichever goroutine was first.
func TestTryGivesFirstError(t *testing.T) {
	for range 100 {
		err := parallel.Try(64, 1, func(lo, hi int) error {
			if hi <= 20 {
				return nil
			}
			return fmt.Errorf("from %d", max(lo, 20))
		})
		assert.EqualError(t, err, "from 20")
	}
	assert.NoError(t, parallel.Try(0, 1, func(int, int) error { return errors.New("no pieces") }))
}
