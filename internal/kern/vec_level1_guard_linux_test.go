package kern_test

import (
	"testing"

	"github.com/tame-rlhf/tame/internal/kern"
)

// TestLevel12Reads finds reads and writes outside the operands: they fault, which ends the test binary.
func TestLevel12Reads(t *testing.T) {
	for _, level := range kern.Levels() {
		kern.SetLevel(t, level)
		for n := 1; n <= 40; n++ {
			for _, first := range []bool{false, true} {
				x, y := guarded(t, n, first), guarded(t, n, first)
				kern.Dot(x, y)
				kern.Sasum(x)
				kern.SumSquares(x)
				kern.Isamax(x)
				kern.Sscal(2, x)
				kern.Saxpy(2, x, y)
				kern.Sswap(x, y)
				kern.Srot(x, y, 0.6, 0.8)
				for _, m := range []int{1, 4, 5, 7} {
					lda := n + n%3
					a, rows := guarded(t, (m-1)*lda+n, first), guarded(t, m, first)
					kern.Sgemv(false, m, n, 1, a, lda, x, 1, 1, rows, 1)
					kern.Sgemv(true, m, n, 1, a, lda, rows, 1, 1, y, 1)
					kern.Sger(m, n, 1, rows, 1, x, 1, a, lda)
				}
			}
		}
	}
}
