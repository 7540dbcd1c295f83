package model

import (
	"runtime"

	"github.com/tame-rlhf/tame/internal/kern"
	"github.com/tame-rlhf/tame/internal/parallel"
)

// sharedWeights is how many numbers of weights every core may read for itself: what fits into its share of the caches. Cores that
// take all layers each for some of the sequences need not wait for each other, but read all weights each.
const sharedWeights = 2 << 20

// piece takes the collected rows through all layers, as Trunk.build does, and empties the collection.
func (d *Decoder) piece() {
	if len(d.tokens) == 0 {
		return
	}
	d.partition()
	if len(d.parts) == 1 { // cores share the work in each product
		d.runParts(0, 1)
	} else {
		parallel.For(len(d.parts), 1, d.runAll)
	}
	for _, s := range d.spans {
		d.length[s.slot] += s.count
	}
	d.tokens, d.spans = d.tokens[:0], d.spans[:0]
}

// partition cuts the spans into parts of about the same work, one for each core, or leaves them together: a single span, because its
// rows attend to each other, and those of a large model.
func (d *Decoder) partition() {
	d.parts = append(d.parts[:0], part{0, len(d.spans)})
	procs := min(runtime.GOMAXPROCS(0), len(d.spans))
	if procs == 1 || d.weights > sharedWeights {
		return
	}
	total := 0
	for _, s := range d.spans {
		total += d.work(s)
	}
	d.parts = d.parts[:0]
	first, done := 0, 0
	for i, s := range d.spans {
		done += d.work(s)
		if n := len(d.parts) + 1; done*procs >= total*n || i == len(d.spans)-1 {
			d.parts = append(d.parts, part{first, i + 1})
			first = i + 1
		}
	}
}

// work is about how many multiplications the rows of a span take.
func (d *Decoder) work(s span) int {
	return s.count * (d.weights + 2*d.cfg.NumLayers*d.heads.H*d.heads.D*(d.length[s.slot]+s.count/2))
}

func (d *Decoder) runParts(lo, hi int) {
	for _, p := range d.parts[lo:hi] {
		d.layersOf(d.spans[p.first:p.end], len(d.parts) == 1)
	}
}

// layersOf takes the rows of some spans, which lie together, through all layers; in parallel or on the caller alone.
func (d *Decoder) layersOf(spans []span, shared bool) {
	c := d.cfg
	eps := float32(c.NormEps)
	first, last := spans[0], spans[len(spans)-1]
	lo, rows := first.row, last.row+last.count-first.row
	hd := c.NumHeads * c.HeadDim
	x, h := d.x[lo*c.Dim:][:rows*c.Dim], d.h[lo*c.Dim:][:rows*c.Dim]
	qkv, attn := d.qkv[lo*c.qkvDim():][:rows*c.qkvDim()], d.attn[lo*hd:][:rows*hd]
	gateUp, act := d.gateUp[lo*2*c.HiddenDim:][:rows*2*c.HiddenDim], d.act[lo*c.HiddenDim:][:rows*c.HiddenDim]

	kern.Embed(x, d.embed, d.tokens[lo:], rows, c.Dim)
	for i := range d.layers {
		l := &d.layers[i]
		kern.RMSNorm(h, x, l.attnNorm, rows, c.Dim, eps)
		kern.GemmPacked(rows, h, c.Dim, l.qkv, 0, qkv, c.qkvDim())
		d.attend(l, spans, shared)
		kern.GemmPacked(rows, attn, hd, l.attnOut, 0, h, c.Dim)
		kern.Add(x, x, h)

		kern.RMSNorm(h, x, l.ffnNorm, rows, c.Dim, eps)
		kern.GemmPacked(rows, h, c.Dim, l.gateUp, 0, gateUp, 2*c.HiddenDim)
		kern.SwiGLU(act, gateUp, rows, c.HiddenDim)
		kern.GemmPacked(rows, act, c.HiddenDim, l.down, 0, h, c.Dim)
		kern.Add(x, x, h)
	}
	for _, s := range spans {
		if s.chunk >= 0 {
			end := (s.row + s.count) * c.Dim
			kern.RMSNorm(d.last[s.chunk*c.Dim:], d.x[end-c.Dim:end], d.norm, 1, c.Dim, eps)
		}
	}
}

// attend rotates the rows' queries and keys, puts keys and values into the cache and computes attention.
func (d *Decoder) attend(l *decoderLayer, spans []span, shared bool) {
	sh := d.heads
	qDim, kvDim := sh.H*sh.D, sh.KV*sh.D
	width := qDim + 2*kvDim
	for _, s := range spans {
		keys, values := l.cache(d, s.slot)
		for i := range s.count {
			pos := d.length[s.slot] + i
			row, rope := d.qkv[(s.row+i)*width:][:width], d.rope[pos*sh.D:][:sh.D]
			kern.RoPE(row, sh.H+sh.KV, sh.D, rope)
			copy(d.q[(s.row+i)*qDim:][:qDim], row)
			kern.CacheKey(keys, pos, row[qDim:], sh)
			copy(values[pos*kvDim:][:kvDim], row[qDim+kvDim:])
		}
	}
	if !shared || len(spans) == 1 { // one prompt is in parallel over its heads and queries
		d.attendSpans(l, spans)
		return
	}
	d.layer = l
	parallel.For(len(spans), 1, d.attendAll)
}

// attendSpans computes the attention of the spans' rows.
func (d *Decoder) attendSpans(l *decoderLayer, spans []span) {
	sh := d.heads
	qDim := sh.H * sh.D
	for _, s := range spans {
		keys, values := l.cache(d, s.slot)
		out, q := d.attn[s.row*qDim:], d.q[s.row*qDim:]
		kern.AttentionFromCache(out, q, keys, values, s.count, d.length[s.slot]+s.count, sh)
	}
}

// cache are the keys and values of a slot.
func (l *decoderLayer) cache(d *Decoder, slot int) (keys, values []float32) {
	k, v := kern.KeyCacheLen(d.maxLen, d.heads), d.maxLen*d.heads.KV*d.heads.D
	return l.keys[slot*k:][:k], l.values[slot*v:][:v]
}
