package kern_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/kern"
)

const scoreRoom = 320 // numbers from row to row

// scoreStrip is rows of scores whose lanes past what counts hold NaN.
func scoreStrip(rows, seen, step, width int, seed uint64) []float32 {
	p := columns(rows*scoreRoom, seed)
	for i := range p {
		if i%scoreRoom >= min(seen+i/scoreRoom*step, width) {
			p[i] = float32(math.NaN())
		}
	}
	return p
}

// eachStrip runs f at every level on strips of all kinds of rows.
func eachStrip(t *testing.T, f func(t *testing.T, rows, seen, step, width int)) {
	for _, level := range kern.Levels() {
		t.Run(level, func(t *testing.T) {
			kern.SetLevel(t, level)
			for _, rows := range []int{1, 2, 5, 13, 14} {
				for _, width := range []int{1, 2, 15, 16, 17, 32, 33, 64, 250, 256} {
					for _, seen := range []int{1, width - rows + 1, width, width + 9} {
						f(t, rows, max(seen, 1), 1, width)
						f(t, rows, max(seen, 1), 0, width)
					}
				}
			}
		})
	}
}

func roundUp(n int) int { return (n + 15) / 16 * 16 }

// TestSoftmaxRows compares with the definition, in the functions that are tested on their own.
func TestSoftmaxRows(t *testing.T) {
	eachStrip(t, func(t *testing.T, rows, seen, step, width int) {
		p := scoreStrip(rows, seen, step, width, 1)
		most, sum, decay := columns(rows, 2), columns(rows, 3), make([]float32, rows)
		if width%2 == 0 {
			most, sum = filled(rows, -inf), make([]float32, rows) // as in a first block
		}
		got := [][]float32{append([]float32(nil), p...), append([]float32(nil), most...), append([]float32(nil), sum...), decay}
		kern.SoftmaxRows(rows, seen, step, width, got[0], scoreRoom, got[1], got[2], got[3])
		for r := range rows {
			n := min(seen+r*step, width)
			row := append([]float32(nil), p[r*scoreRoom:][:n]...)
			m := max(most[r], kern.Max(row))
			for i := range row {
				row[i] -= m
			}
			loss := []float32{most[r] - m}
			kern.Exp(row, row)
			kern.Exp(loss, loss)
			requireBits(t, row, got[0][r*scoreRoom:][:n], "weights")
			requireBits(t, make([]float32, roundUp(width)-n), got[0][r*scoreRoom+n:][:roundUp(width)-n], "the rest")
			requireBits(t, []float32{m, float32(sum[r]*loss[0]) + kern.Sum(row), loss[0]}, []float32{got[1][r], got[2][r], got[3][r]}, "state")
			requireBits(t, p[r*scoreRoom+roundUp(width):(r+1)*scoreRoom], got[0][r*scoreRoom+roundUp(width):(r+1)*scoreRoom], "beyond the row")
		}
	})
}

func TestScoreRows(t *testing.T) {
	eachStrip(t, func(t *testing.T, rows, seen, step, width int) {
		p, ds := scoreStrip(rows, seen, step, width, 1), scoreStrip(rows, seen, step, width, 2)
		lse, delta := filled[float32](rows, 2.5), columns(rows, 4)
		gotP, gotDS := append([]float32(nil), p...), append([]float32(nil), ds...)
		kern.ScoreRows(rows, seen, step, width, gotP, gotDS, scoreRoom, lse, delta, 0.3)
		for r := range rows {
			n := min(seen+r*step, width)
			x, g := append([]float32(nil), p[r*scoreRoom:][:n]...), append([]float32(nil), ds[r*scoreRoom:][:n]...)
			for i := range x {
				x[i] -= lse[r]
			}
			kern.Exp(x, x)
			for i := range g {
				g[i] = x[i] * (g[i] - delta[r]) * 0.3
			}
			requireBits(t, x, gotP[r*scoreRoom:][:n], "weights")
			requireBits(t, g, gotDS[r*scoreRoom:][:n], "gradients")
			requireBits(t, make([]float32, roundUp(width)-n), gotP[r*scoreRoom+n:][:roundUp(width)-n], "the rest of the weights")
			requireBits(t, make([]float32, roundUp(width)-n), gotDS[r*scoreRoom+n:][:roundUp(width)-n], "the rest of the gradients")
		}
	})
}

// TestSoftmaxRowsOfExtremes: what is not a number, and what is too small to count.
func TestSoftmaxRowsOfExtremes(t *testing.T) {
	nan := float32(math.NaN())
	odd := math.Float32frombits(0x7fc001ff) // a NaN with more bits set
	for _, level := range kern.Levels() {
		t.Run(level, func(t *testing.T) {
			kern.SetLevel(t, level)
			run := func(scores ...float32) (p []float32, sum float32) {
				p = append(append(p, scores...), make([]float32, 32)...)
				most, total, decay := filled(16, -inf), make([]float32, 16), make([]float32, 16)
				kern.SoftmaxRows(1, len(scores), 0, len(scores), p, 48, most, total, decay)
				return p[:len(scores)], total[0]
			}
			p, sum := run(5, -inf, 5-200, 5-87)
			assert.Equal(t, []float32{1, 0, 0, exp1(-87)}, p)
			assert.Equal(t, float32(1), sum)
			for _, bad := range [][]float32{{0, nan, 1}, {nan}, {1, 2, odd}, {odd, 1}, {0, inf}, {-inf, -inf}} {
				_, sum := run(bad...)
				assert.True(t, sum != sum, "%v", bad)
			}
			p, _ = run(0, odd, 1)
			assert.True(t, p[1] != p[1])
		})
	}
}

// TestCopyingRows compares the passes that move rows with their definitions, at every level.
func TestCopyingRows(t *testing.T) {
	const rows, ldx, ldd = 9, 150, 140
	for _, level := range kern.Levels() {
		t.Run(level, func(t *testing.T) {
			kern.SetLevel(t, level)
			for n := 2; n <= 130; n += 2 {
				x, y, c, table := columns(rows*ldx, 1), columns(rows*ldx, 2), columns(rows, 3), columns(rows*n, 4)
				check := func(what string, run func(dst []float32), row func(dst, x []float32, r int)) {
					want, got := columns(rows*ldd, 5), columns(rows*ldd, 5)
					run(got)
					for r := range rows {
						row(want[r*ldd:][:n], x[r*ldx:][:n], r)
					}
					requireBits(t, want, got, what)
				}
				check("copy", func(dst []float32) { kern.CopyRows(rows, n, dst, ldd, x, ldx) }, func(dst, x []float32, _ int) { copy(dst, x) })
				check("scale", func(dst []float32) { kern.ScaleRows(rows, n, dst, ldd, x, ldx, c) }, func(dst, x []float32, r int) {
					for i := range dst {
						dst[i] = x[i] * c[r]
					}
				})
				check("rotate", func(dst []float32) { kern.RotateRows(rows, n, dst, ldd, x, ldx, table) }, func(dst, x []float32, r int) {
					copy(dst, x)
					kern.RoPE(dst, 1, n, table[r*n:][:n])
				})
				check("rotate back", func(dst []float32) { kern.RotateRowsBack(rows, n, dst, ldd, x, ldx, table) }, func(dst, x []float32, r int) {
					copy(dst, x)
					kern.RoPEBackward(dst, 1, n, table[r*n:][:n])
				})
				dots, want := make([]float32, rows), make([]float32, rows)
				check("copy and dot", func(dst []float32) { kern.CopyDotRows(rows, n, dst, ldd, x, ldx, y, ldx, dots) }, func(dst, x []float32, r int) {
					copy(dst, x)
					want[r] = kern.Dot(x, y[r*ldx:][:n])
				})
				requireBits(t, want, dots, "dots")
			}
		})
	}
}

// TestLSERows compares with the logarithm in float64: of all sizes, of the sums of long rows and of what is just above 1.
func TestLSERows(t *testing.T) {
	var sums []float32
	for bits := math.Float32bits(1); bits < math.Float32bits(1<<24); bits += 9001 {
		sums = append(sums, math.Float32frombits(bits))
	}
	sums = append(sums, math.Nextafter32(1, 2))
	for _, level := range kern.Levels() {
		t.Run(level, func(t *testing.T) {
			kern.SetLevel(t, level)
			rows := len(sums)
			sum := append(sums[:rows:rows], make([]float32, 16)...)
			dst, zero := make([]float32, len(sum)), make([]float32, len(sum))
			kern.LSERows(rows, dst, zero, sum)
			for i, s := range sums {
				want := math.Log(float64(s))
				require.InDelta(t, want, dst[i], want*2.5e-7, "log %v", s)
			}
			nan := float32(math.NaN())
			x := filled(16, nan)
			kern.LSERows(3, x, append([]float32{1.5, 2.5, nan}, zero...), append([]float32{1, nan, 1}, zero...))
			require.Equal(t, float32(1.5), x[0])
			require.True(t, x[1] != x[1] && x[2] != x[2])
		})
	}
}
