package kern

import (
	"sync"
)

// KeyCacheLen is the length of a cache of the keys of that many tokens: a number for each of KV*D columns, rounded up to whole runs of
// 32 tokens. Element (t, c) lies at ((t/32)*KV*D + c)*32 + t%32, as products read it, so decoding need not turn the keys around at every
// step. The keys of the first n tokens take the first KeyCacheLen(n, sh) elements.
func KeyCacheLen(tokens int, sh AttnShape) int { return packedSize(tokens, sh.KV*sh.D) }

// CacheKey puts the rotated key (KV*D) of the token at position pos into a cache.
func CacheKey[T Float](cache []T, pos int, key []T, sh AttnShape) {
	kd := sh.KV * sh.D
	column := cache[pos/sliver*sliver*kd+pos%sliver:]
	for c, x := range key[:kd] {
		column[c*sliver] = x
	}
}

// AttentionFromCache is the last m rows of Attention over kvLen tokens, from cached keys and values: for the token that is decoded, and for
// prompts that enter the cache in chunks. Its results have the bits of Attention's rows.
//
// q (m, H*D) rotated, row r at position kvLen-m+r; keys a cache of >= kvLen tokens, v (>= kvLen, KV*D), the chunk's own included;
// out (m, H*D). Parallel over query heads and blocks of queries. A single row runs on the calling goroutine: a batch of sequences is
// spread over cores by the caller.
func AttentionFromCache[T Float](out, q, keys, v []T, m, kvLen int, sh AttnShape) {
	l := cacheLoop[T]{out, q, keys, v, kvLen - m, kvLen, sh}
	if m == 1 {
		l.row()
		return
	}
	blocks := (kvLen-1)/queryBlock - l.start/queryBlock + 1
	run(&cacheLoops, blocks*sh.H, 1, l)
}

var cacheLoops sync.Pool

// cacheLoop is a loop over the blocks of queries and their heads.
type cacheLoop[T Float] struct {
	out, q, k, v []T
	start, kvLen int // positions of the chunk's first token and of its end
	sh           AttnShape
}

// keys is the cache of key/value head g.
func (l *cacheLoop[T]) keys(g int) panel[T] {
	return panel[T]{l.k[g*l.sh.D*sliver:], sliver, l.sh.KV * l.sh.D * sliver}
}

func (l *cacheLoop[T]) Piece(lo, hi int) {
	sh, d := l.sh, l.sh.D
	w := newAttnScratch[T](sh)
	defer w.free()
	for task := lo; task < hi; task++ {
		b, h := l.start/queryBlock+task/sh.H, task%sh.H
		t0 := max(l.start, b*queryBlock)
		rows := min((b+1)*queryBlock, l.kvLen) - t0
		g, r0 := h/(sh.H/sh.KV), t0-l.start
		w.attend(l.q[(r0*sh.H+h)*d:], sh.H*d, rows, t0, 1, l.keys(g), l.v[g*d:], sh.KV*d)
		w.finish(l.out[(r0*sh.H+h)*d:], sh.H*d, rows)
	}
}

// row computes all heads of a single token; those that share keys go together.
func (l *cacheLoop[T]) row() {
	sh, d, group := l.sh, l.sh.D, l.sh.H/l.sh.KV
	w := newAttnScratch[T](sh)
	defer w.free()
	for h := 0; h < sh.H; {
		g := h / group
		rows := min(queryBlock, (g+1)*group-h)
		w.attend(l.q[h*d:], d, rows, l.start, 0, l.keys(g), l.v[g*d:], sh.KV*d)
		w.finish(l.out[h*d:], d, rows)
		h += rows
	}
}
