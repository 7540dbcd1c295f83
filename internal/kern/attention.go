package kern

import "sync"

// AttnShape is the head layout of attention: H query heads, KV key/value heads (H a multiple of KV; query head h reads key/value
// head h/(H/KV)), D numbers per head (even). With a Window that is not 0, a query sees only that many last keys, its own included.
type AttnShape struct{ H, KV, D, Window int }

// width is the number of columns of a packed q|k|v row.
func (sh AttnShape) width() int { return (sh.H + 2*sh.KV) * sh.D }

// AttnBlock is the length of a block of keys, counted from the sequence's first token. It is part of the arithmetic: a
// query's softmax is put together block after block.
const AttnBlock = 256

// Attention is causal softmax attention inside each sequence of a ragged batch, rotary positions included; positions start
// at 0 in every sequence:
//
//	out[t, h] = sum over u <= t of softmax_u(q[t,h]·k[u,g] / sqrt(D)) v[u,g],   g = h / (H/KV)
//
// and u > t-Window if there is one. qkv (N, (H+2KV)*D) packed q|k|v, not rotated; rope (>= longest sequence, D) rows for RoPE; layout (S+2): the number s of used
// segments, then the first slot of each and the number n of used slots. out (N, H*D); lse (N, H), or nil, the log-sum-exp of each
// query's scaled scores, kept for the backward. Slots from n on are not touched.
//
// shared (S), or nil, is 0 for a segment that is a sequence of its own, a root. A branch continues as many first tokens of the last root
// before it as shared says: its queries see those too, and its positions go on after them. Its rows have the bits that they have
// in the whole sequence.
//
// Computed block by block with a running maximum and sum (Dao et al. 2022, algorithm 1). Parallel over segments and key/value
// heads, and over ranges of queries where those are too few. A goroutine's scratch memory is linear in the longest sequence.
func Attention[T Float](out, lse, qkv, rope []T, layout, shared []int32, sh AttnShape) {
	tasks := forwardTasks(layout, shared, sh.KV)
	run(&attnLoops, tasks.count(), 1, attnLoop[T]{out, lse, qkv, rope, tasks, sh})
}

var attnLoops sync.Pool

// attnLoop is a loop over the tasks of Attention.
type attnLoop[T Float] struct {
	out, lse, qkv, rope []T
	tasks               attnTasks
	sh                  AttnShape
}

func (l *attnLoop[T]) Piece(first, end int) {
	w := newAttnScratch[T](l.sh)
	defer w.free()
	l.tasks.each(first, end, func(t attnTask) { l.queries(&w, t) })
}

// queries computes the task's queries, of all query heads that share its key/value head.
func (l *attnLoop[T]) queries(w *attnScratch[T], t attnTask) {
	sh, d, width, group := l.sh, l.sh.D, l.sh.width(), l.sh.H/l.sh.KV
	path := l.tasks.path(t.root, t.first)
	size := packedSize(t.to, d)
	buf := take[T](size + t.to*d + line[T]())
	defer give(buf)
	scratch := align(*buf, size+t.to*d)
	k := packRotated(carve(&scratch, size), l.qkv[(sh.H+t.g)*d:], width, l.rope, path, t.to, d, w.q)
	v := carve(&scratch, t.to*d) // (to, D) values, side by side
	copyPath(v, d, l.qkv[(sh.H+sh.KV+t.g)*d:], width, path, 0, t.to)
	w.finite = isFinite(v)
	for t0, rows := t.from, 0; t0 < t.to; t0 += rows {
		rows = blockRows(t0, t.to)
		slot := path.slot(t0)
		for h := t.g * group; h < (t.g+1)*group; h++ {
			rotateRows(rows, d, w.q, d, l.qkv[slot*width+h*d:], width, l.rope[t0*d:])
			w.attend(w.q, d, rows, t0, 1, k, v, d)
			w.finish(l.out[(slot*sh.H+h)*d:], sh.H*d, rows)
			if l.lse != nil {
				w.lse(l.lse[slot*sh.H+h:], sh.H, rows)
			}
		}
	}
}

// isFinite reports that the sum of x is finite; it may take huge numbers for infinite ones.
func isFinite[T Float](x []T) bool {
	s := Sum(x)
	return s-s == 0
}
