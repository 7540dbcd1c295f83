package kern

import "sync"

// AttentionCached is one row of Attention, from cached keys and values: the query token is the last of kvLen. Its result has
// the bits of Attention's row.
//
// q (H*D) rotated by RoPE at position kvLen-1; k (>= kvLen, KV*D) rotated, v (>= kvLen, KV*D), the token's own included;
// out (H*D). Runs on the calling goroutine: a batch of sequences is spread over cores by the caller.
func AttentionCached[T Float](out, q, k, v []T, kvLen int, sh AttnShape) {
	w := newAttnScratch[T](sh.D)
	defer w.free()
	d, group := sh.D, sh.H/sh.KV
	for h := 0; h < sh.H; {
		g := h / group
		rows := min(queryBlock, (g+1)*group-h) // query heads that share keys
		w.attend(q[h*d:], d, rows, kvLen-1, 0, k[g*d:], sh.KV*d, v[g*d:], sh.KV*d)
		for r := range rows {
			w.finish(out[(h+r)*d:][:d], r)
		}
		h += rows
	}
}

// AttentionChunk is the last m rows of Attention over kvLen tokens, from cached keys and values: for prompts that enter the
// cache in chunks. Its results have the bits of Attention's rows.
//
// q (m, H*D) rotated, row r at position kvLen-m+r; k (>= kvLen, KV*D) rotated, v (>= kvLen, KV*D), the chunk's own included;
// out (m, H*D). Parallel over query heads and blocks of queries.
func AttentionChunk[T Float](out, q, k, v []T, m, kvLen int, sh AttnShape) {
	if m == 1 {
		AttentionCached(out, q, k, v, kvLen, sh)
		return
	}
	l := borrow[chunkLoop[T]](&chunkLoops)
	defer giveBack(&chunkLoops, l)
	*l = chunkLoop[T]{out, q, k, v, kvLen - m, kvLen, sh}
	blocks := (kvLen-1)/queryBlock - l.start/queryBlock + 1
	spread(blocks*sh.H, 1, l)
}

var chunkLoops sync.Pool

// chunkLoop is a loop over the blocks of queries and their heads.
type chunkLoop[T Float] struct {
	out, q, k, v []T
	start, kvLen int // positions of the chunk's first token and of its end
	sh           AttnShape
}

func (l *chunkLoop[T]) piece(lo, hi int) {
	sh, d := l.sh, l.sh.D
	w := newAttnScratch[T](d)
	defer w.free()
	for task := lo; task < hi; task++ {
		b, h := l.start/queryBlock+task/sh.H, task%sh.H
		t0 := max(l.start, b*queryBlock)
		rows := min((b+1)*queryBlock, l.kvLen) - t0
		g, r0 := h/(sh.H/sh.KV), t0-l.start
		w.attend(l.q[(r0*sh.H+h)*d:], sh.H*d, rows, t0, 1, l.k[g*d:], sh.KV*d, l.v[g*d:], sh.KV*d)
		for r := range rows {
			w.finish(l.out[((r0+r)*sh.H+h)*d:][:d], r)
		}
	}
}
