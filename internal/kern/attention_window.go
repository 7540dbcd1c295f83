package kern

import "math"

// What a window changes in attention. A query at position t sees the keys from t-Window+1 on. The score of a key before that becomes
// -Inf, whose weight is exactly 0; blocks of keys that no query of a block sees are left out. So a row's arithmetic depends on its position
// alone, and rows that see everything have the bits that they have without a window.

// firstBlock is where the block of keys begins that has the first key that a query at position t sees.
func (sh AttnShape) firstBlock(t int) int {
	if sh.Window == 0 {
		return 0
	}
	return max(0, t-sh.Window+1) / AttnBlock * AttnBlock
}

// hide makes the scores of keys before the rows' windows -Inf: rows of scoreLd numbers, of which row r is that of a query at pos + r*step,
// both counted from the first of the keys.
func hide[T Float](window, rows, pos, step, keys int, p []T) {
	for r := range rows {
		row := p[r*scoreLd:][:max(0, min(keys, pos+r*step-window+1))]
		for i := range row {
			row[i] = T(math.Inf(-1))
		}
	}
}

// attendWindow is attend where some row does not see all keys before it. w.most and w.sum are set.
func (w *attnScratch[T]) attendWindow(q []T, ldq, rows, first, step int, k panel[T], v []T, ldv int) {
	d, alpha := w.d, attnScale[T](w.d)
	clear(w.o[:rows*d])
	for j0 := max(0, first-w.window+1) / AttnBlock * AttnBlock; j0 <= first+(rows-1)*step; j0 += AttnBlock {
		seeing := rows // the rows that see some of the block: no softmax of nothing
		if step > 0 {
			seeing = min(rows, j0+AttnBlock+w.window-1-first)
		}
		strips := ceilDiv(seeing, stripRows())
		for s := range strips {
			r, end := s*seeing/strips, (s+1)*seeing/strips
			pos := first + r*step - j0 // of the strip's first row
			keys := min(AttnBlock, first+(end-1)*step+1-j0)
			tileRows(end-r, keys, d, alpha, q[r*ldq:], ldq, 1, k.from(j0), false, w.p, scoreLd)
			hide(w.window, end-r, pos, step, keys, w.p)
			softmaxRows(end-r, pos+1, step, keys, w.p, scoreLd, w.most[r:], w.sum[r:], w.decay[r:])
			if !allOnes(w.decay[r:end]) {
				scaleRows(end-r, d, w.o[r*d:], d, w.o[r*d:], d, w.decay[r:])
			}
			w.addWindow(w.o[r*d:], v[j0*ldv:], ldv, end-r, pos, step, keys)
		}
	}
}

// addWindow is addValues with acc, of rows that do not see the keys before their windows either.
func (w *attnScratch[T]) addWindow(o, v []T, ldv, rows, pos, step, keys int) {
	hidden := max(0, min(keys, pos+(rows-1)*step-w.window+1)) // by the last row
	if w.finite || finiteRows(hidden, w.d, v, ldv) {
		w.addValues(o, v, ldv, rows, pos+1, step, keys, true)
		return
	}
	for r := range rows {
		from, to := max(0, pos+r*step-w.window+1), min(keys, pos+r*step+1)
		tileRows(1, w.d, to-from, 1, w.p[r*scoreLd+from:], scoreLd, 1, inPlaceRows(v[from*ldv:], ldv), true, o[r*w.d:], w.d)
	}
}
