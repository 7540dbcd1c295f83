package kern

import (
	"math"
	"sync"
)

// AttnShape is the head layout of attention: H query heads, KV key/value heads (H a multiple of KV; query head h reads key/value
// head h/(H/KV)), D numbers per head (even).
type AttnShape struct{ H, KV, D int }

// width is the number of columns of a packed q|k|v row.
func (sh AttnShape) width() int { return (sh.H + 2*sh.KV) * sh.D }

// AttnBlock is the length of a block of keys, counted from the segment's first token. It is part of the arithmetic: a
// query's softmax is put together block after block.
const AttnBlock = 64

// queryBlock is the number of query rows computed together. It divides AttnBlock, so that all rows of a query block visit the
// same key blocks; it does not change results.
const queryBlock = 32

// Attention is causal softmax attention inside each segment of a ragged batch, rotary positions included; positions start
// at 0 in every segment:
//
//	out[t, h] = sum over u <= t of softmax_u(q[t,h]·k[u,g] / sqrt(D)) v[u,g],   g = h / (H/KV)
//
// qkv (N, (H+2KV)*D) packed q|k|v, not rotated; rope (>= longest segment, D) of RoPETable; layout (S+2): the number s of used
// segments, then the first slot of each and the number n of used slots. out (N, H*D); lse (N, H), or nil, the log-sum-exp of each
// query's scaled scores, kept for the backward. Slots from n on are not touched.
//
// Computed block by block with a running maximum and sum (Dao et al. 2022, algorithm 1); parallel over segments and
// key/value heads.
func Attention[T Float](out, lse, qkv, rope []T, layout []int32, sh AttnShape) {
	l := borrow[attnLoop[T]](&attnLoops)
	defer giveBack(&attnLoops, l)
	*l = attnLoop[T]{out, lse, qkv, rope, layout, sh}
	spread(int(layout[0])*sh.KV, 1, l)
}

var attnLoops sync.Pool

// attnLoop is a loop over the pairs of a segment and a key/value head.
type attnLoop[T Float] struct {
	out, lse, qkv, rope []T
	layout              []int32
	sh                  AttnShape
}

func (l *attnLoop[T]) piece(lo, hi int) {
	w := newAttnScratch[T](l.sh.D)
	defer w.free()
	for task := lo; task < hi; task++ {
		seg, g := task/l.sh.KV, task%l.sh.KV
		w.segment(l.out, l.lse, l.qkv, l.rope, int(l.layout[1+seg]), int(l.layout[2+seg]), g, l.sh)
	}
}

// segment computes the query heads of key/value head g over the slots [lo, hi) of one segment.
func (w *attnScratch[T]) segment(out, lse, qkv, rope []T, lo, hi, g int, sh AttnShape) {
	d, width, group, length := sh.D, sh.width(), sh.H/sh.KV, hi-lo
	if length == 0 {
		return
	}
	kbuf := take[T](length * d)
	defer give(kbuf)
	k := *kbuf // (length, D) rotated keys
	rotateRows(k, d, qkv[lo*width+(sh.H+g)*d:], width, rope, 0, length, d)
	v := qkv[lo*width+(sh.H+sh.KV+g)*d:]
	for h := g * group; h < (g+1)*group; h++ {
		for t0 := 0; t0 < length; t0 += queryBlock {
			rows := min(queryBlock, length-t0)
			slot := lo + t0
			rotateRows(w.q, d, qkv[slot*width+h*d:], width, rope, t0, rows, d)
			w.attend(w.q, d, rows, t0, 1, k, d, v, width)
			for r := range rows {
				w.finish(out[((slot+r)*sh.H+h)*d:][:d], r)
				if lse != nil {
					lse[(slot+r)*sh.H+h] = w.max[r] + T(math.Log(float64(w.sum[r])))
				}
			}
		}
	}
}

// rotateRows sets dst (rows, d) to the heads in src turned by the table rows of positions pos, pos+1, ...
func rotateRows[T Float](dst []T, ldd int, src []T, lds int, rope []T, pos, rows, d int) {
	for r := range rows {
		rotate(dst[r*ldd:][:d], src[r*lds:][:d], rope[(pos+r)*d:][:d])
	}
}

// attnScratch is what one goroutine needs for a block of queries.
type attnScratch[T Float] struct {
	buf   *[]T
	d     int
	q     []T // (queryBlock, D) rotated queries
	o     []T // (queryBlock, D) weighted sum of values so far
	p     []T // (queryBlock, AttnBlock at most) scores, then their exponentials
	never []T // (AttnBlock) -Inf: the scores of keys that a row does not see
	max   []T // (queryBlock) greatest score so far
	sum   []T // (queryBlock) sum of exp(score - max) so far
	decay []T // (queryBlock) exp(old max - new max)
}

func newAttnScratch[T Float](d int) attnScratch[T] {
	buf := take[T](queryBlock*(2*d+AttnBlock+3) + AttnBlock)
	rest := *buf
	w := attnScratch[T]{
		buf:   buf,
		d:     d,
		q:     carve(&rest, queryBlock*d),
		o:     carve(&rest, queryBlock*d),
		p:     carve(&rest, queryBlock*AttnBlock),
		never: carve(&rest, AttnBlock),
		max:   carve(&rest, queryBlock),
		sum:   carve(&rest, queryBlock),
		decay: carve(&rest, queryBlock),
	}
	fillInf(w.never)
	return w
}

// fillInf sets x to -Inf.
func fillInf[T Float](x []T) {
	for i := range x {
		x[i] = T(math.Inf(-1))
	}
}

func (w *attnScratch[T]) free() { give(w.buf) }

// attend runs a block of queries over their keys. Row r is at position first + r*step and sees the keys up to its position;
// step is 1 for consecutive tokens of one head and 0 for the heads of one token. All positions lie in one block of AttnBlock keys,
// the last block to visit, so that no row meets a block of which it sees nothing.
//
// q (rows, ldq), k and v rows of ldk and ldv numbers of which the first D count. Sets w.o, w.max and w.sum.
func (w *attnScratch[T]) attend(q []T, ldq, rows, first, step int, k []T, ldk int, v []T, ldv int) {
	d, invSqrt := w.d, attnScale[T](w.d)
	last := first + (rows-1)*step // the position of the last row
	for j0 := 0; j0 <= last; j0 += AttnBlock {
		keys := min(AttnBlock, last+1-j0)
		ldp := padded(keys)
		GemmSerial(false, true, rows, keys, d, invSqrt, q, ldq, k[j0*ldk:], ldk, 0, w.p, ldp)
		// The greatest score so far, and by how much it shrinks what was summed before.
		for r := range rows {
			p := w.p[r*ldp:][:ldp]
			copy(p[min(keys, first+r*step+1-j0):], w.never)
			m := Max(p)
			if j0 == 0 {
				w.max[r], w.sum[r] = m, 0
				continue
			}
			m = max(m, w.max[r])
			w.decay[r] = w.max[r] - m
			w.max[r] = m
		}
		if j0 > 0 {
			Exp(w.decay[:rows], w.decay[:rows])
			for r := range rows {
				w.sum[r] *= w.decay[r]
				scale(w.o[r*d:][:d], w.decay[r])
			}
		}
		for r := range rows {
			p := w.p[r*ldp:][:ldp]
			addConst(p, p, -w.max[r])
		}
		Exp(w.p[:rows*ldp], w.p[:rows*ldp]) // 0 where a key is not seen, which adds nothing to a sum
		for r := range rows {
			w.sum[r] += Sum(w.p[r*ldp:][:ldp])
		}
		var beta T
		if j0 > 0 {
			beta = 1
		}
		w.addValues(v[j0*ldv:], ldv, rows, first-j0, step, keys, beta)
	}
}

// addValues sets w.o = beta*w.o + p v over a block of keys. A weight of 0 on a key that a row does not see adds exactly nothing,
// unless that key's value is NaN or infinite: then rows go one by one over the keys they see, in the same arithmetic.
func (w *attnScratch[T]) addValues(v []T, ldv, rows, first, step, keys int, beta T) {
	d, ldp := w.d, padded(keys)
	if allSeen := min(keys, first+1); allSeen == keys || finiteRows(v[allSeen*ldv:], ldv, keys-allSeen, d) {
		GemmSerial(false, false, rows, d, keys, 1, w.p, ldp, v, ldv, beta, w.o, d)
		return
	}
	for r := range rows {
		seen := min(keys, first+r*step+1)
		GemmSerial(false, false, 1, d, seen, 1, w.p[r*ldp:], ldp, v, ldv, beta, w.o[r*d:], d)
	}
}

// finish writes row r's result.
func (w *attnScratch[T]) finish(out []T, r int) {
	mulConst(out, w.o[r*w.d:][:len(out)], 1/w.sum[r])
}

// padded is the row length of a block of scores: whole rounds of a sum's lanes.
func padded(keys int) int { return (keys + lanes - 1) &^ (lanes - 1) }

// attnScale is 1 / sqrt(D).
func attnScale[T Float](d int) T { return T(1 / math.Sqrt(float64(d))) }

// finiteRows reports that the sum of each row of d numbers is finite; it may take a row of huge numbers for an infinite one.
func finiteRows[T Float](x []T, ldx, rows, d int) bool {
	for r := range rows {
		if s := Sum(x[r*ldx:][:d]); s-s != 0 {
			return false
		}
	}
	return true
}
