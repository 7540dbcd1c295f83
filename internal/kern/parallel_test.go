package kern_test

import (
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tame-rlhf/tame/internal/kern"
)

func TestFor(t *testing.T) {
	for _, procs := range []int{1, 2, 5} {
		old := runtime.GOMAXPROCS(procs)
		for _, n := range []int{0, 1, 2, 7, 64, 1000} {
			for _, grain := range []int{0, 1, 3, 64, 2000} {
				seen := make([]atomic.Int32, n)
				var pieces atomic.Int32
				kern.For(n, grain, func(lo, hi int) {
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
