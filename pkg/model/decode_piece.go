package model

import "github.com/tame-rlhf/tame/internal/kern"

// piece takes the collected rows through all layers, as Trunk.build does, and empties the collection.
func (d *Decoder) piece() {
	rows := len(d.tokens)
	if rows == 0 {
		return
	}
	c := d.cfg
	eps := float32(c.NormEps)
	x, h, attn, act := d.x[:rows*c.Dim], d.h[:rows*c.Dim], d.attn, d.act

	kern.Embed(x, d.embed, d.tokens, rows, c.Dim)
	for i := range d.layers {
		l := &d.layers[i]
		d.layer = i
		kern.RMSNorm(h, x, l.attnNorm, rows, c.Dim, eps)
		kern.GemmPacked(rows, h, c.Dim, l.qkv, 0, d.qkv, c.qkvDim())
		d.attend()
		kern.GemmPacked(rows, attn, c.NumHeads*c.HeadDim, l.attnOut, 0, h, c.Dim)
		kern.Add(x, x, h)

		kern.RMSNorm(h, x, l.ffnNorm, rows, c.Dim, eps)
		kern.GemmPacked(rows, h, c.Dim, l.gateUp, 0, d.gateUp, 2*c.HiddenDim)
		kern.SwiGLU(act, d.gateUp, rows, c.HiddenDim)
		kern.GemmPacked(rows, act, c.HiddenDim, l.down, 0, h, c.Dim)
		kern.Add(x, x, h)
	}
	for _, s := range d.spans {
		d.length[s.slot] += s.count
		if s.chunk >= 0 {
			end := (s.row + s.count) * c.Dim
			kern.RMSNorm(d.last[s.chunk*c.Dim:], x[end-c.Dim:end], d.norm, 1, c.Dim, eps)
		}
	}
	d.tokens, d.spans = d.tokens[:0], d.spans[:0]
}

// attend rotates the rows' queries and keys, puts keys and values into the cache and computes attention.
func (d *Decoder) attend() {
	sh, l := d.heads, &d.layers[d.layer]
	qDim, kvDim := sh.H*sh.D, sh.KV*sh.D
	width := qDim + 2*kvDim
	for _, s := range d.spans {
		for i := range s.count {
			pos := d.length[s.slot] + i
			row, rope := d.qkv[(s.row+i)*width:][:width], d.rope[pos*sh.D:][:sh.D]
			at := (s.slot*d.maxLen + pos) * kvDim
			q, key := d.q[(s.row+i)*qDim:][:qDim], l.keys[at:][:kvDim]
			copy(q, row)
			kern.RoPE(q, sh.H, sh.D, rope)
			copy(key, row[qDim:])
			kern.RoPE(key, sh.KV, sh.D, rope)
			copy(l.values[at:][:kvDim], row[qDim+kvDim:])
		}
	}
	if len(d.spans) == 1 { // one prompt: in parallel over its heads and queries
		d.attendSpans(0, 1)
		return
	}
	kern.For(len(d.spans), 1, d.attendAll)
}

// attendSpans computes attention for the spans [lo, hi).
func (d *Decoder) attendSpans(lo, hi int) {
	sh, l := d.heads, &d.layers[d.layer]
	qDim, size := sh.H*sh.D, d.maxLen*sh.KV*sh.D
	for _, s := range d.spans[lo:hi] {
		keys, values := l.keys[s.slot*size:][:size], l.values[s.slot*size:][:size]
		out, q := d.attn[s.row*qDim:], d.q[s.row*qDim:]
		kern.AttentionChunk(out, q, keys, values, s.count, d.length[s.slot]+s.count, sh)
	}
}
