package model

import (
	"slices"

	"gorgonia.org/gorgonia"

	"github.com/tame-rlhf/tame/pkg/backend"
	"github.com/tame-rlhf/tame/pkg/ops"
)

// A layer is computed twice: as a part of the training graph, and on the rows of a decoder. Both
// are here, side by side, because they give the same bits: the same kernels in the same order.

// attention is the first half of a layer of the graph, up to its attention: from the layer's input
// x, (N, C), to what each token attended to, (N, H D).
func (t *Trunk) attention(c *chain, layer int, x *gorgonia.Node) *gorgonia.Node {
	cfg, layout := t.params.cfg, t.in.Layout
	h := c.do(ops.RMSNorm(x, t.layer(layer, "attn_norm"), layout, cfg.NormEps)) // (N, C)
	h = c.do(ops.Linear(h, t.layer(layer, "qkv"), layout))                      // (N, (H+2KV) D)
	if cfg.QKVBias() {
		h = c.do(ops.Bias(h, t.layer(layer, "qkv_bias"), layout))
	}
	if cfg.QKNorm() {
		h = c.do(ops.HeadNorm(h, t.layer(layer, "q_norm"), t.layer(layer, "k_norm"), layout, headsOf(cfg, layer), cfg.NormEps))
	}
	t.QKV = append(t.QKV, h)
	return c.do(ops.CausalAttention(h, t.in.ropes[t.rope].node, layout, t.in.Shared, headsOf(cfg, layer)))
}

// feedForward is what comes behind a layer's attention, row by row: from its input x, (R, C), and what it attended to, (R, H D), to its
// result (R, C).
func (t *Trunk) feedForward(c *chain, layer int, x, attended, layout *gorgonia.Node) *gorgonia.Node {
	h := c.do(ops.Linear(attended, t.layer(layer, "attn_out"), layout)) // (R, C)
	if t.params.cfg.OutputBias() {
		h = c.do(ops.Bias(h, t.layer(layer, "attn_out_bias"), layout))
	}
	x = c.do(ops.Add(x, h, layout))

	h = c.do(ops.RMSNorm(x, t.layer(layer, "ffn_norm"), layout, t.params.cfg.NormEps)) // (R, C)
	h = c.do(ops.Linear(h, t.layer(layer, "gate_up"), layout))                         // (R, 2F)
	h = c.do(ops.SwiGLU(h, layout))                                                    // (R, F)
	h = c.do(ops.Linear(h, t.layer(layer, "down"), layout))                            // (R, C)
	return c.do(ops.Add(x, h, layout))
}

// decoderLayer is the weights of a layer as a decoder's backend has them.
type decoderLayer struct {
	attnNorm, ffnNorm          backend.Norm   // (C)
	qkv, attnOut, gateUp, down backend.Matrix // (out, in)

	qkvBias, attnOutBias []float32    // ((H+2KV) D) and (C); nil for none
	qkNorm               backend.Norm // of each head; nil for none
}

// layerWeights is how many numbers the matrices of a layer have.
func layerWeights(c Config) int64 {
	return int64(c.Dim) * int64(c.QKVDim()+c.NumHeads*c.HeadDim+3*c.HiddenDim)
}

func newDecoderLayer(p *Params, layer int) decoderLayer {
	norm := func(part string) backend.Norm { return p.norm(layerName(layer, part)) }
	matrix := func(part string) backend.Matrix { return p.matrix(p.Get(layerName(layer, part))) }
	numbers := func(part string) []float32 { return slices.Clone(p.numbers(layerName(layer, part))) }
	l := decoderLayer{
		attnNorm: norm("attn_norm"), ffnNorm: norm("ffn_norm"),
		qkv: matrix("qkv"), attnOut: matrix("attn_out"), gateUp: matrix("gate_up"), down: matrix("down"),
	}
	if p.cfg.QKVBias() {
		l.qkvBias = numbers("qkv_bias")
	}
	if p.cfg.OutputBias() {
		l.attnOutBias = numbers("attn_out_bias")
	}
	if p.cfg.QKNorm() {
		l.qkNorm = p.Backend().HeadNorm(numbers("q_norm"), numbers("k_norm"), headsOf(p.cfg, layer), p.cfg.NormEps)
	}
	return l
}

func (p *Params) norm(name string) backend.Norm {
	return p.Backend().Norm(floats[float32](p.Get(name).Value), p.cfg.NormEps)
}

func (p *Params) matrix(q *Param) backend.Matrix {
	return p.Backend().Matrix(floats[float32](q.Value), q.Value.Shape()[0], q.Value.Shape()[1])
}

// layer takes rows of d.x from lo on through a layer. attend computes the attention of these rows,
// from d.qkv to d.attn.
func (d *Decoder) layer(i, lo, rows int, attend func()) {
	l, c := &d.layers[i], d.cfg
	part := func(of []float32, width int) []float32 { return of[lo*width:][:rows*width] }
	x, h, qkv := part(d.x, c.Dim), part(d.h, c.Dim), part(d.qkv, c.QKVDim())
	gateUp, act := part(d.gateUp, 2*c.HiddenDim), part(d.act, c.HiddenDim)

	l.attnNorm.Apply(h, x, rows)
	l.qkv.Apply(qkv, h, rows)
	d.addBias(qkv, l.qkvBias)
	if l.qkNorm != nil {
		l.qkNorm.Apply(qkv, qkv, rows)
	}
	attend()
	l.attnOut.Apply(h, part(d.attn, c.NumHeads*c.HeadDim), rows)
	d.addBias(h, l.attnOutBias)
	d.backend.Add(x, x, h)

	l.ffnNorm.Apply(h, x, rows)
	l.gateUp.Apply(gateUp, h, rows)
	d.backend.SwiGLU(act, gateUp, rows, c.HiddenDim)
	l.down.Apply(h, act, rows)
	d.backend.Add(x, x, h)
}

// addBias adds a bias, if there is one, to each row of x.
func (d *Decoder) addBias(x, bias []float32) {
	for ; len(bias) > 0 && len(x) > 0; x = x[len(bias):] {
		row := x[:len(bias)]
		d.backend.Add(row, row, bias)
	}
}
