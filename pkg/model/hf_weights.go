package model

import "fmt"

const (
	hfEmbed  = "model.embed_tokens.weight"
	hfOutput = "lm_head.weight"
)

// hfTensor is a tensor of a Hugging Face checkpoint: some rows of one of our weights, which pack q|k|v and gate|up.
type hfTensor struct {
	name     string
	param    string
	row      int // first row in param
	shape    []int
	optional bool
}

// hfTensors lists the tensors of a model, in the order they are written.
func hfTensors(c Config) []hfTensor {
	q, kv, f := c.NumHeads*c.HeadDim, c.NumKVHeads*c.HeadDim, c.HiddenDim
	list := []hfTensor{{name: hfEmbed, param: "embed", shape: []int{c.VocabSize, c.Dim}}}
	for i := range c.NumLayers {
		hf := fmt.Sprintf("model.layers.%d.", i)
		list = append(list,
			hfTensor{name: hf + "input_layernorm.weight", param: layerName(i, "attn_norm"), shape: []int{c.Dim}},
			hfTensor{name: hf + "self_attn.q_proj.weight", param: layerName(i, "qkv"), shape: []int{q, c.Dim}},
			hfTensor{name: hf + "self_attn.k_proj.weight", param: layerName(i, "qkv"), row: q, shape: []int{kv, c.Dim}},
			hfTensor{name: hf + "self_attn.v_proj.weight", param: layerName(i, "qkv"), row: q + kv, shape: []int{kv, c.Dim}},
			hfTensor{name: hf + "self_attn.o_proj.weight", param: layerName(i, "attn_out"), shape: []int{c.Dim, q}},
			hfTensor{name: hf + "post_attention_layernorm.weight", param: layerName(i, "ffn_norm"), shape: []int{c.Dim}},
			hfTensor{name: hf + "mlp.gate_proj.weight", param: layerName(i, "gate_up"), shape: []int{f, c.Dim}},
			hfTensor{name: hf + "mlp.up_proj.weight", param: layerName(i, "gate_up"), row: f, shape: []int{f, c.Dim}},
			hfTensor{name: hf + "mlp.down_proj.weight", param: layerName(i, "down"), shape: []int{c.Dim, f}},
		)
	}
	list = append(list, hfTensor{name: "model.norm.weight", param: "norm", shape: []int{c.Dim}})
	if !c.TieEmbeddings {
		list = append(list, hfTensor{name: hfOutput, param: "output", shape: []int{c.VocabSize, c.Dim}})
	}
	return append(list,
		hfTensor{name: scoreWeight, param: scoreWeight, shape: []int{1, c.Dim}},
		hfTensor{name: scoreBias, param: scoreBias, shape: []int{1}, optional: true},
	)
}

// span gives the elements of the tensor within its parameter.
func (t hfTensor) span() (lo, hi int) {
	cols := 1
	if len(t.shape) == 2 {
		cols = t.shape[1]
	}
	lo = t.row * cols
	return lo, lo + t.shape[0]*cols
}

// HFTensors gives the weights under their Hugging Face names and shapes, q, k, v, gate and up apart, in the order Save writes them.
// float32 data are shared with p, float64 ones converted.
func (p *Params) HFTensors() []Tensor {
	var out []Tensor
	for _, s := range p.hfSources() {
		t := Tensor{Name: s.name, Shape: s.shape, Data: s.f32}
		if s.f64 != nil {
			t.Data = make([]float32, len(s.f64))
			for i, v := range s.f64 {
				t.Data[i] = float32(v)
			}
		}
		out = append(out, t)
	}
	return out
}

func (p *Params) hfSources() []tensorSource {
	var out []tensorSource
	for _, t := range hfTensors(p.cfg) {
		q := p.Get(t.param)
		if q == nil { // no such head, or a dropped output
			continue
		}
		s := tensorSource{name: t.name, shape: t.shape}
		lo, hi := t.span()
		switch x := q.Value.Data().(type) {
		case []float32:
			s.f32 = x[lo:hi]
		case []float64:
			s.f64 = x[lo:hi]
		}
		out = append(out, s)
	}
	return out
}
