package cpu

import (
	"slices"

	"github.com/tame-rlhf/tame/internal/kern"
	"github.com/tame-rlhf/tame/pkg/backend"
)

// Table implements backend.Decoding.
func (Backend) Table(w []float32, _, c int) backend.Table { return &table{slices.Clone(w), c} }

type table struct {
	w []float32 // (V, C)
	c int
}

func (t *table) Lookup(out []float32, tokens []int32) {
	kern.Embed(out, t.w, tokens, len(tokens), t.c)
}

// Matrix implements backend.Decoding: it packs the weights into the order in which products read
// them.
func (Backend) Matrix(w []float32, m, k int) backend.Matrix {
	return &matrix{kern.Pack(true, k, m, w, k), m, k}
}

type matrix struct {
	w    *kern.Packed[float32] // (K, M)
	m, k int
}

func (a *matrix) Apply(out, x []float32, rows int) {
	kern.GemmPacked(rows, x, a.k, a.w, 0, out, a.m)
}

// Norm implements backend.Decoding.
func (Backend) Norm(w []float32, eps float64) backend.Norm {
	return &norm{slices.Clone(w), float32(eps)}
}

type norm struct {
	w   []float32 // (C)
	eps float32
}

func (n *norm) Apply(out, x []float32, rows int) {
	kern.RMSNorm(out, x, n.w, rows, len(n.w), n.eps)
}

// HeadNorm implements backend.Decoding.
func (Backend) HeadNorm(q, k []float32, heads backend.Heads, eps float64) backend.Norm {
	return &perHead{slices.Clone(q), slices.Clone(k), shapeOf(heads), float32(eps)}
}

type perHead struct {
	q, k  []float32 // (D)
	heads kern.AttnShape
	eps   float32
}

func (n *perHead) Apply(out, x []float32, rows int) {
	kern.HeadNorm(out, x, n.q, n.k, rows, n.heads, n.eps)
}

// Caches implements backend.Decoding.
func (Backend) Caches(layers []backend.Heads, slots, maxLen int, rope []float32) []backend.Cache {
	list := make([]backend.Cache, len(layers))
	for i, heads := range layers {
		sh := shapeOf(heads)
		keys, values := kern.KeyCacheLen(maxLen, sh), maxLen*sh.KV*sh.D
		list[i] = &cache{
			heads: sh, rope: rope, keyLen: keys, valueLen: values,
			keys: make([]float32, slots*keys), values: make([]float32, slots*values),
		}
	}
	return list
}

// CacheBytes is the memory of the keys and values of one of those Caches. Keys are kept for whole
// runs of 32 tokens.
func (Backend) CacheBytes(slots, maxLen int, heads backend.Heads) int64 {
	sh := shapeOf(heads)
	return 4 * int64(slots) * (int64(kern.KeyCacheLen(maxLen, sh)) + int64(maxLen)*int64(sh.KV*sh.D))
}

// cache is the keys and values of one layer.
type cache struct {
	heads            kern.AttnShape
	rope             []float32 // (maxLen, D)
	keys             []float32 // (slots, keyLen), rotated
	values           []float32 // (slots, maxLen, KV D)
	keyLen, valueLen int       // of a slot
}

func (c *cache) slot(i int) (keys, values []float32) {
	return c.keys[i*c.keyLen:][:c.keyLen], c.values[i*c.valueLen:][:c.valueLen]
}

func (c *cache) Append(slot, pos int, qkv, q []float32, rows int) {
	sh := c.heads
	qDim, kvDim := sh.H*sh.D, sh.KV*sh.D
	width := qDim + 2*kvDim
	keys, values := c.slot(slot)
	for i := range rows {
		row, at := qkv[i*width:][:width], pos+i
		kern.RoPE(row, sh.H+sh.KV, sh.D, c.rope[at*sh.D:][:sh.D])
		copy(q[i*qDim:][:qDim], row)
		kern.CacheKey(keys, at, row[qDim:], sh)
		copy(values[at*kvDim:][:kvDim], row[qDim+kvDim:])
	}
}

// Attend spreads several rows over cores. A single row runs on the calling goroutine: a batch of
// sequences is spread by the caller.
func (c *cache) Attend(slot, length int, out, q []float32, rows int) {
	keys, values := c.slot(slot)
	kern.AttentionFromCache(out, q, keys, values, rows, length, c.heads)
}

func (c *cache) Copy(dst, src, n int) {
	toKeys, toValues := c.slot(dst)
	keys, values := c.slot(src)
	copy(toKeys, keys[:kern.KeyCacheLen(n, c.heads)])
	copy(toValues, values[:n*c.heads.KV*c.heads.D])
}

// SwiGLU implements backend.Decoding.
func (Backend) SwiGLU(out, gateUp []float32, rows, f int) { kern.SwiGLU(out, gateUp, rows, f) }

// Add implements backend.Decoding.
func (Backend) Add(dst, a, b []float32) { kern.Add(dst, a, b) }
