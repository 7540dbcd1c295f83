package kern

import "sync"

// AttentionBackward is the derivative of Attention. With P the softmax weights, recomputed block by block from lse, and
// delta[t,h] = dout[t,h]·out[t,h]:
//
//	dV = Pᵀ dout
//	dS = P * (dout Vᵀ - delta) / sqrt(D)
//	dQ = dS K,  dK = dSᵀ Q, both turned back by RoPE
//
// dqkv, qkv (N, (H+2KV)*D); out, dout (N, H*D); lse (N, H), out and lse as Attention wrote them; rope and layout as there.
// dqkv is overwritten in the used slots only. The sums over the queries (and query heads) of a key run in a fixed order; a root's own
// queries come first, then the sum over each of its branches.
//
// Parallel over roots, each with its branches, and key/value heads; where those are too few also over ranges of positions, which computes
// P twice: once for the queries of a range, once for its keys. A goroutine's scratch memory is linear in the longest sequence.
func AttentionBackward[T Float](dqkv, qkv, rope, out, lse, dout []T, layout, shared []int32, sh AttnShape) {
	tasks := backwardTasks(layout, shared, sh.KV)
	run(&attnBackLoops, tasks.count(), 1, attnBackLoop[T]{dqkv, qkv, rope, out, lse, dout, tasks, sh})
}

var attnBackLoops sync.Pool

// attnBackLoop is a loop over the tasks of AttentionBackward.
type attnBackLoop[T Float] struct {
	dqkv, qkv, rope, out, lse, dout []T
	tasks                           attnTasks
	sh                              AttnShape
}

func (l *attnBackLoop[T]) Piece(first, end int) {
	l.tasks.each(first, end, func(t attnTask) {
		var w attnGrad[T]
		w.attnBackLoop, w.attnTask = l, t
		w.run()
	})
}

// attnGrad is the backward of a task: the gradients of the task's queries, of all query heads that share its key/value head, and
// of its keys and values. It goes through the unit's segments one after the other; what is named after keys is of one of them.
type attnGrad[T Float] struct {
	*attnBackLoop[T]
	attnTask
	path   attnPath
	keyEnd int      // position behind the last key that counts: that of the task, or of the path
	k      []T      // (keyEnd, D) rotated keys
	kT, vT panel[T] // keys and values packed
	dk, dv []T      // (keyEnd-from, D) gradients of keys and values
	q, do  []T      // (queryBlock, D) rotated queries and their results' gradient
	dq     []T      // (queryBlock, D) gradient of q
	p      []T      // (queryBlock, scoreLd) softmax weights
	ds     []T      // (queryBlock, scoreLd) gradient of the scores
	rowLSE []T      // (queryBlock) log-sum-exp of the queries
	delta  []T      // (queryBlock)
}

func (w *attnGrad[T]) run() {
	d, own, packed := w.sh.D, w.to-w.from, packedSize(w.to, w.sh.D)
	size := 2*packed + (w.to+2*own)*d + queryBlock*(3*d+2*scoreLd+2)
	buf := take[T](size + line[T]())
	defer give(buf)
	rest := align(*buf, size)
	w.kT, w.vT = packedPanel(carve(&rest, packed), d), packedPanel(carve(&rest, packed), d)
	w.k = carve(&rest, w.to*d)
	w.dk, w.dv = carve(&rest, own*d), carve(&rest, own*d)
	w.q, w.do, w.dq = carve(&rest, queryBlock*d), carve(&rest, queryBlock*d), carve(&rest, queryBlock*d)
	w.p, w.ds = carve(&rest, queryBlock*scoreLd), carve(&rest, queryBlock*scoreLd)
	w.rowLSE, w.delta = carve(&rest, queryBlock), carve(&rest, queryBlock)
	for s := w.first; s < w.end; s++ {
		if w.path = w.tasks.path(w.root, s); w.path.length > w.from {
			w.segment()
		}
	}
}

// segment takes the queries of one of the unit's segments.
func (w *attnGrad[T]) segment() {
	sh, d, width := w.sh, w.sh.D, w.sh.width()
	w.keyEnd = min(w.to, w.path.length)
	kcol, vcol := (sh.H+w.g)*d, (sh.H+sh.KV+w.g)*d
	rows := view[T]{w.k, 1, d} // first the values, which are needed packed only
	copyPath(w.k, d, w.qkv[vcol:], width, w.path, 0, w.keyEnd)
	pack(d, w.keyEnd, rows, w.vT.data)
	rotatePath(w.k, d, w.qkv[kcol:], width, w.rope, w.path, 0, w.keyEnd)
	pack(d, w.keyEnd, rows, w.kT.data)
	own := w.keyEnd - w.from
	clear(w.dk[:own*d])
	clear(w.dv[:own*d])
	group := sh.H / sh.KV
	for h := w.g * group; h < (w.g+1)*group; h++ {
		for t0, rows := max(w.from, w.path.shared), 0; t0 < w.path.length; t0 += rows {
			rows = blockRows(t0, w.path.length)
			w.queries(h, t0, rows)
		}
	}
	w.addShared(kcol, vcol)
	if from := max(w.from, w.path.shared); from < w.keyEnd {
		dqkv, at := w.dqkv[w.path.slot(from)*width:], (from-w.from)*d
		rotateRowsBack(w.keyEnd-from, d, dqkv[kcol:], width, w.dk[at:], d, w.rope[from*d:])
		copyRows(w.keyEnd-from, d, dqkv[vcol:], width, w.dv[at:], d)
	}
}

// addShared adds the gradients of the keys and values that a branch shares to those of its root, which are there already.
func (w *attnGrad[T]) addShared(kcol, vcol int) {
	d, width := w.sh.D, w.sh.width()
	rows := min(w.keyEnd, w.path.shared) - w.from
	if rows <= 0 {
		return
	}
	rotateRowsBack(rows, d, w.dk, d, w.dk, d, w.rope[w.from*d:])
	for r := range rows {
		dqkv := w.dqkv[w.path.slot(w.from+r)*width:]
		add(dqkv[kcol:][:d], dqkv[kcol:][:d], w.dk[r*d:][:d])
		add(dqkv[vcol:][:d], dqkv[vcol:][:d], w.dv[r*d:][:d])
	}
}

// queries takes rows queries of head h from position t0 on. Keys of the task get their gradients; the queries themselves if they belong to the
// task too.
func (w *attnGrad[T]) queries(h, t0, rows int) {
	sh, d, width, slot := w.sh, w.sh.D, w.sh.width(), w.path.slot(t0)
	rotateRows(rows, d, w.q, d, w.qkv[slot*width+h*d:], width, w.rope[t0*d:])
	at := (slot*sh.H + h) * d
	copyDotRows(rows, d, w.do, d, w.dout[at:], sh.H*d, w.out[at:], sh.H*d, w.delta)
	for r := range rows {
		w.rowLSE[r] = w.lse[(slot+r)*sh.H+h]
	}
	own := t0 < w.to // else only the task's keys count
	begin, end := w.from, min(w.keyEnd, t0+rows)
	if own {
		begin = 0
	}
	begin = max(begin, sh.firstBlock(t0))
	for j0 := begin; j0 < end; j0 += AttnBlock {
		w.weights(t0, rows, j0, min(AttnBlock, end-j0))
		if j0 >= w.from {
			w.keys(t0, rows, j0, min(AttnBlock, end-j0))
		}
		if own {
			w.addQueries(t0, rows, j0, min(AttnBlock, end-j0), j0 > begin)
		}
	}
	if own {
		rotateRowsBack(rows, d, w.dqkv[slot*width+h*d:], width, w.dq, d, w.rope[t0*d:])
	}
}

// weights computes p and ds of a block of queries and one of keys.
func (w *attnGrad[T]) weights(t0, rows, j0, keys int) {
	d, alpha := w.sh.D, attnScale[T](w.sh.D)
	kT, vT := w.kT.from(j0), w.vT.from(j0)
	strips := ceilDiv(rows, stripRows())
	for s := range strips {
		r, end := s*rows/strips, (s+1)*rows/strips
		p, ds := w.p[r*scoreLd:], w.ds[r*scoreLd:]
		seen := min(keys, t0+end-j0) // by the strip's last row
		tileRows(end-r, seen, d, alpha, w.q[r*d:], d, 1, kT, false, p, scoreLd)
		if w.sh.Window > 0 {
			hide(w.sh.Window, end-r, t0+r-j0, 1, seen, p)
		}
		tileRows(end-r, seen, d, 1, w.do[r*d:], d, 1, vT, false, ds, scoreLd)
		scoreRows(end-r, t0+r+1-j0, 1, keys, p, ds, scoreLd, w.rowLSE[r:], w.delta[r:], alpha)
	}
}

// keys adds the block of queries to the gradients of the block of keys and values. Queries before a strip's first key are left out.
func (w *attnGrad[T]) keys(t0, rows, j0, keys int) {
	d := w.sh.D
	strips := ceilDiv(keys, stripRows())
	for s := range strips {
		u, end := s*keys/strips, (s+1)*keys/strips
		r := max(0, j0+u-t0)
		at := (j0 + u - w.from) * d
		tileRows(end-u, d, rows-r, 1, w.p[r*scoreLd+u:], 1, scoreLd, inPlaceRows(w.do[r*d:], d), true, w.dv[at:], d)
		tileRows(end-u, d, rows-r, 1, w.ds[r*scoreLd+u:], 1, scoreLd, inPlaceRows(w.q[r*d:], d), true, w.dk[at:], d)
	}
}

// addQueries adds the block of keys to the gradients of the block of queries, or sets them. Keys after a strip's last query are left out.
func (w *attnGrad[T]) addQueries(t0, rows, j0, keys int, acc bool) {
	d := w.sh.D
	strips := ceilDiv(rows, stripRows())
	for s := range strips {
		r, end := s*rows/strips, (s+1)*rows/strips
		seen := min(keys, t0+end-j0)
		tileRows(end-r, d, seen, 1, w.ds[r*scoreLd:], scoreLd, 1, inPlaceRows(w.k[j0*d:], d), acc, w.dq[r*d:], d)
	}
}
