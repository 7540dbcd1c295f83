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
// dqkv is overwritten in the used slots only. The sums over the queries (and query heads) of a key run in a fixed order.
//
// Parallel over segments and key/value heads; where those are too few also over ranges of tokens, which computes P twice: once for the
// queries of a range, once for its keys. A goroutine's scratch memory is linear in the longest segment.
func AttentionBackward[T Float](dqkv, qkv, rope, out, lse, dout []T, layout []int32, sh AttnShape) {
	l := borrow[attnBackLoop[T]](&attnBackLoops)
	defer giveBack(&attnBackLoops, l)
	*l = attnBackLoop[T]{dqkv, qkv, rope, out, lse, dout, backwardTasks(layout, sh.KV), sh}
	spread(l.tasks.count(), 1, l)
}

var attnBackLoops sync.Pool

// attnBackLoop is a loop over the tasks of AttentionBackward.
type attnBackLoop[T Float] struct {
	dqkv, qkv, rope, out, lse, dout []T
	tasks                           attnTasks
	sh                              AttnShape
}

func (l *attnBackLoop[T]) piece(first, end int) {
	l.tasks.each(first, end, func(t attnTask) {
		var w attnGrad[T]
		w.attnBackLoop, w.attnTask = l, t
		w.run()
	})
}

// attnGrad is the backward of a task: the gradients of the task's queries, of all query heads that share its key/value head, and
// of its keys and values.
type attnGrad[T Float] struct {
	*attnBackLoop[T]
	attnTask
	k      []T      // (hi-lo, D) rotated keys
	kT, vT panel[T] // keys and values packed
	dk, dv []T      // (to-from, D) gradients of keys and values
	q, do  []T      // (queryBlock, D) rotated queries and their results' gradient
	dq     []T      // (queryBlock, D) gradient of q
	p      []T      // (queryBlock, scoreLd) softmax weights
	ds     []T      // (queryBlock, scoreLd) gradient of the scores
	rowLSE []T      // (queryBlock) log-sum-exp of the queries
	delta  []T      // (queryBlock)
}

func (w *attnGrad[T]) run() {
	sh, d, width, length := w.sh, w.sh.D, w.sh.width(), w.hi-w.lo
	own, packed := w.to-w.from, packedSize(w.hi-w.lo, d)
	size := 2*packed + (length+2*own)*d + queryBlock*(3*d+2*scoreLd+2)
	buf := take[T](size + line[T]())
	defer give(buf)
	rest := align(*buf, size)
	kT, vT := carve(&rest, packed), carve(&rest, packed)
	w.k = carve(&rest, length*d)
	w.dk, w.dv = carve(&rest, own*d), carve(&rest, own*d)
	w.q, w.do, w.dq = carve(&rest, queryBlock*d), carve(&rest, queryBlock*d), carve(&rest, queryBlock*d)
	w.p, w.ds = carve(&rest, queryBlock*scoreLd), carve(&rest, queryBlock*scoreLd)
	w.rowLSE, w.delta = carve(&rest, queryBlock), carve(&rest, queryBlock)

	kcol, vcol := (sh.H+w.g)*d, (sh.H+sh.KV+w.g)*d
	rotateRows(length, d, w.k, d, w.qkv[w.lo*width+kcol:], width, w.rope)
	w.kT = packRows(kT, w.k, d, length, d)
	w.vT = packRows(vT, w.qkv[w.lo*width+vcol:], width, length, d)
	clear(w.dk)
	clear(w.dv)
	group := sh.H / sh.KV
	for h := w.g * group; h < (w.g+1)*group; h++ {
		for t0 := w.from; t0 < length; t0 += queryBlock {
			w.queries(h, t0, min(queryBlock, length-t0))
		}
	}
	dqkv := w.dqkv[(w.lo+w.from)*width:]
	rotateRowsBack(own, d, dqkv[kcol:], width, w.dk, d, w.rope[w.from*d:])
	copyRows(own, d, dqkv[vcol:], width, w.dv, d)
}

// queries takes rows queries of head h from position t0 on. Keys of the task get their gradients; the queries themselves if they belong to the
// task too.
func (w *attnGrad[T]) queries(h, t0, rows int) {
	sh, d, width, slot := w.sh, w.sh.D, w.sh.width(), w.lo+t0
	rotateRows(rows, d, w.q, d, w.qkv[slot*width+h*d:], width, w.rope[t0*d:])
	at := (slot*sh.H + h) * d
	copyDotRows(rows, d, w.do, d, w.dout[at:], sh.H*d, w.out[at:], sh.H*d, w.delta)
	for r := range rows {
		w.rowLSE[r] = w.lse[(slot+r)*sh.H+h]
	}
	own := t0 < w.to // else only the task's keys count
	begin, end := w.from, min(w.to, t0+rows)
	if own {
		begin = 0
	}
	for j0 := begin; j0 < end; j0 += AttnBlock {
		w.weights(t0, rows, j0, min(AttnBlock, end-j0))
		if j0 >= w.from {
			w.keys(t0, rows, j0, min(AttnBlock, end-j0))
		}
		if own {
			w.addQueries(t0, rows, j0, min(AttnBlock, end-j0))
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

// addQueries adds the block of keys to the gradients of the block of queries. Keys after a strip's last query are left out.
func (w *attnGrad[T]) addQueries(t0, rows, j0, keys int) {
	d := w.sh.D
	strips := ceilDiv(rows, stripRows())
	for s := range strips {
		r, end := s*rows/strips, (s+1)*rows/strips
		seen := min(keys, t0+end-j0)
		tileRows(end-r, d, seen, 1, w.ds[r*scoreLd:], scoreLd, 1, inPlaceRows(w.k[j0*d:], d), j0 > 0, w.dq[r*d:], d)
	}
}
