package kern

import "math"

// queryBlock is the number of query rows that go over a block of keys together, while it is in the cache. It divides AttnBlock, so
// that all rows of a query block visit the same key blocks. It is part of the backward's arithmetic: a key's gradient is put together
// block of queries after block. It does not change the forward's results.
const queryBlock = 128

// scoreLd is the room for a row of scores: a round of lanes more than a block, so that rows do not share a place in the cache.
const scoreLd = AttnBlock + lanes

// mostStripRows is the most rows that a strip has at any level.
const mostStripRows = 14

// attnScale is 1 / sqrt(D).
func attnScale[T Float](d int) T { return T(1 / math.Sqrt(float64(d))) }

// attnScratch is what one goroutine needs for a block of queries.
type attnScratch[T Float] struct {
	buf    *[]T
	d      int
	window int  // of AttnShape
	finite bool // all values are: none times 0 is anything but 0
	q      []T  // (queryBlock, D) rotated queries
	o      []T  // (queryBlock, D) weighted sum of values so far
	p      []T  // (mostStripRows, scoreLd) scores, then their exponentials
	most   []T  // (queryBlock) greatest score so far
	sum    []T  // (queryBlock) sum of exp(score - most) so far
	decay  []T  // (queryBlock) exp(old most - new most)
}

func newAttnScratch[T Float](sh AttnShape) attnScratch[T] {
	d := sh.D
	size := queryBlock*(2*d+3) + mostStripRows*scoreLd
	buf := take[T](size + line[T]())
	rest := align(*buf, size)
	return attnScratch[T]{
		buf:    buf,
		d:      d,
		window: sh.Window,
		q:      carve(&rest, queryBlock*d),
		o:      carve(&rest, queryBlock*d),
		p:      carve(&rest, mostStripRows*scoreLd),
		most:   carve(&rest, queryBlock),
		sum:    carve(&rest, queryBlock),
		decay:  carve(&rest, queryBlock),
	}
}

func (w *attnScratch[T]) free() { give(w.buf) }

// attend runs a block of queries over their keys. Row r is at position first + r*step and sees the keys up to its position;
// step is 1 for consecutive tokens of one head and 0 for the heads of one token. All positions lie in one block of AttnBlock keys,
// the last block to visit, so that no row meets a block of which it sees nothing.
//
// q (rows, ldq); k packed keys; v rows of ldv numbers of which the first D count. Sets w.o, w.most and w.sum.
func (w *attnScratch[T]) attend(q []T, ldq, rows, first, step int, k panel[T], v []T, ldv int) {
	d, alpha := w.d, attnScale[T](w.d)
	for r := range rows {
		w.most[r], w.sum[r] = T(math.Inf(-1)), 0
	}
	if w.window > 0 && first+(rows-1)*step >= w.window {
		w.attendWindow(q, ldq, rows, first, step, k, v, ldv)
		return
	}
	strips := ceilDiv(rows, stripRows())
	for j0 := 0; j0 <= first+(rows-1)*step; j0 += AttnBlock {
		for s := range strips {
			r, end := s*rows/strips, (s+1)*rows/strips
			seen := first + r*step + 1 - j0 // by the strip's first row; past the block if it sees all of it
			keys := min(AttnBlock, first+(end-1)*step+1-j0)
			tileRows(end-r, keys, d, alpha, q[r*ldq:], ldq, 1, k.from(j0), false, w.p, scoreLd)
			softmaxRows(end-r, seen, step, keys, w.p, scoreLd, w.most[r:], w.sum[r:], w.decay[r:])
			if j0 > 0 && !allOnes(w.decay[r:end]) {
				scaleRows(end-r, d, w.o[r*d:], d, w.o[r*d:], d, w.decay[r:])
			}
			w.addValues(w.o[r*d:], v[j0*ldv:], ldv, end-r, seen, step, keys, j0 > 0)
		}
	}
}

// addValues sets o = p v, or o += p v, over a strip of a block of keys. A weight of 0 on a key that a row does not see adds exactly nothing,
// unless that key's value is NaN or infinite: then rows go one by one over the keys they see, in the same arithmetic.
func (w *attnScratch[T]) addValues(o, v []T, ldv, rows, seen, step, keys int, acc bool) {
	values := inPlaceRows(v, ldv)
	if w.finite || seen >= keys || finiteRows(keys-seen, w.d, v[seen*ldv:], ldv) {
		tileRows(rows, w.d, keys, 1, w.p, scoreLd, 1, values, acc, o, w.d)
		return
	}
	for r := range rows {
		tileRows(1, w.d, min(keys, seen+r*step), 1, w.p[r*scoreLd:], scoreLd, 1, values, acc, o[r*w.d:], w.d)
	}
}

// allOnes reports that every number is 1: no new score is greater than what went before, as in most blocks after a row's first ones.
func allOnes[T Float](x []T) bool {
	for _, v := range x {
		if v != 1 {
			return false
		}
	}
	return true
}

// finish writes the rows' results, rows of ldd numbers.
func (w *attnScratch[T]) finish(dst []T, ldd, rows int) {
	for r := range rows {
		w.decay[r] = 1 / w.sum[r]
	}
	scaleRows(rows, w.d, dst, ldd, w.o, w.d, w.decay)
}

// finiteRows reports isFinite of each row of d numbers.
func finiteRows[T Float](rows, d int, x []T, ldx int) bool {
	for r := range rows {
		if !isFinite(x[r*ldx:][:d]) {
			return false
		}
	}
	return true
}

// lse writes the rows' log-sum-exp, ldd numbers apart.
func (w *attnScratch[T]) lse(dst []T, ldd, rows int) {
	lseRows(rows, w.decay, w.most, w.sum)
	for r := range rows {
		dst[r*ldd] = w.decay[r]
	}
}
