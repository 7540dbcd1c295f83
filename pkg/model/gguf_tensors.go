package model

import (
	"fmt"
	"math"
)

// pairedTensor is a tensor of the formats whose rotary positions turn neighbouring columns (2i, 2i+1) of a head, GGUF, Meta's and llama2.c: some rows
// of one of our weights. Ours turn the columns (i, i+D/2), so the rows of wq and wk are put into another order.
type pairedTensor struct {
	gguf, meta string // names
	param      string
	row        int // first row in param
	shape      []int
	headDim    int // > 0: rows of heads of that width, in the order of pairs
	split      int // dimension that Meta's files share out among themselves; whole: each has all of it
}

const whole = -1

// pairedTensors lists the tensors of a model in llama.cpp's order. A tied model has no output.weight.
func pairedTensors(c Config) []pairedTensor {
	q, kv, f := c.NumHeads*c.HeadDim, c.NumKVHeads*c.HeadDim, c.HiddenDim
	vector, up, down := []int{c.Dim}, []int{f, c.Dim}, []int{c.Dim, f}
	list := []pairedTensor{{gguf: "token_embd.weight", meta: "tok_embeddings.weight", param: "embed", shape: []int{c.VocabSize, c.Dim}, split: 1}}
	for i := range c.NumLayers {
		add := func(gguf, meta, param string, t pairedTensor) {
			t.gguf, t.meta, t.param = fmt.Sprintf("blk.%d.%s.weight", i, gguf), fmt.Sprintf("layers.%d.%s.weight", i, meta), layerName(i, param)
			list = append(list, t)
		}
		add("attn_norm", "attention_norm", "attn_norm", pairedTensor{shape: vector, split: whole})
		add("attn_q", "attention.wq", "qkv", pairedTensor{shape: []int{q, c.Dim}, headDim: c.HeadDim})
		add("attn_k", "attention.wk", "qkv", pairedTensor{row: q, shape: []int{kv, c.Dim}, headDim: c.HeadDim})
		add("attn_v", "attention.wv", "qkv", pairedTensor{row: q + kv, shape: []int{kv, c.Dim}})
		add("attn_output", "attention.wo", "attn_out", pairedTensor{shape: []int{c.Dim, q}, split: 1})
		add("ffn_norm", "ffn_norm", "ffn_norm", pairedTensor{shape: vector, split: whole})
		add("ffn_gate", "feed_forward.w1", "gate_up", pairedTensor{shape: up})
		add("ffn_up", "feed_forward.w3", "gate_up", pairedTensor{row: f, shape: up})
		add("ffn_down", "feed_forward.w2", "down", pairedTensor{shape: down, split: 1})
	}
	list = append(list, pairedTensor{gguf: "output_norm.weight", meta: "norm.weight", param: "norm", shape: vector, split: whole})
	if !c.TieEmbeddings {
		list = append(list, pairedTensor{gguf: "output.weight", meta: "output.weight", param: "output", shape: []int{c.VocabSize, c.Dim}})
	}
	return list
}

// size gives the tensor as a matrix; a vector is one row.
func (t pairedTensor) size() (rows, cols int) {
	if len(t.shape) == 1 {
		return 1, t.shape[0]
	}
	return t.shape[0], t.shape[1]
}

// ourRow is where a row of the tensor lies in param.
func (t pairedTensor) ourRow(r int) int {
	if t.headDim > 0 {
		head, j := r/t.headDim, r%t.headDim
		r = head*t.headDim + j/2 + j%2*(t.headDim/2)
	}
	return t.row + r
}

// rowOf gives the memory of a row of the tensor in weights of float32.
func (t pairedTensor) rowOf(p *Params) func(r int) []float32 {
	w := floats[float32](p.Get(t.param).Value)
	_, cols := t.size()
	return func(r int) []float32 { return w[t.ourRow(r)*cols:][:cols] }
}

// readRow gives the numbers of a row of the tensor, those of float64 weights rounded, in memory that the next call may use again.
func (t pairedTensor) readRow(p *Params) func(r int) []float32 {
	_, cols := t.size()
	switch w := p.Get(t.param).Value.Data().(type) {
	case []float64:
		row := make([]float32, cols)
		return func(r int) []float32 {
			for i, v := range w[t.ourRow(r)*cols:][:cols] {
				row[i] = float32(v)
			}
			return row
		}
	default:
		return t.rowOf(p)
	}
}

// fitFloat32 is an error if a number of float64 weights would become infinite as a float32, which readRow gives.
func (p *Params) fitFloat32() error {
	for _, q := range p.list {
		x, _ := q.Value.Data().([]float64)
		for _, v := range x {
			if math.IsInf(float64(float32(v)), 0) && !math.IsInf(v, 0) {
				return fmt.Errorf("model: %s: %v would become infinite: the file's types end at 3.4e38", q.Name, v)
			}
		}
	}
	return nil
}
