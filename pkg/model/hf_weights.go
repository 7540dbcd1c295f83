package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gorgonia.org/tensor"
)

const (
	configFile  = "config.json"
	weightsFile = "model.safetensors"
	indexFile   = "model.safetensors.index.json"
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
	list := []hfTensor{{name: "model.embed_tokens.weight", param: "embed", shape: []int{c.VocabSize, c.Dim}}}
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
		list = append(list, hfTensor{name: "lm_head.weight", param: "output", shape: []int{c.VocabSize, c.Dim}})
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

// loadHF reads a folder in Hugging Face layout.
func loadHF(dir string) (_ *Params, err error) {
	cfg, archs, err := readHFConfig(filepath.Join(dir, configFile))
	if err != nil {
		return nil, err
	}
	shards, err := openShards(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, f := range shards {
			err = errors.Join(err, f.Close())
		}
	}()
	found := make(map[string]*safetensorsFile)
	for _, f := range shards {
		for _, t := range f.infos {
			if prev := found[t.name]; prev != nil {
				return nil, fmt.Errorf("model: tensor %q is in %s and in %s", t.name, prev.path, f.path)
			}
			found[t.name] = f
		}
	}
	head := found[scoreWeight] != nil
	wanted := hfTensors(cfg)
	wanted = slices.DeleteFunc(wanted, func(t hfTensor) bool {
		switch t.param {
		case scoreWeight, scoreBias:
			return !head
		case "output": // a reward model may come without
			return found[t.name] == nil && (head || slices.Contains(archs, archClassifier))
		}
		return false
	})
	if err := checkTensors(dir, cfg, wanted, found); err != nil {
		return nil, err
	}
	p := NewParams(cfg, tensor.Float32)
	if head {
		p.AddHead(nil)
	}
	if !slices.ContainsFunc(wanted, func(t hfTensor) bool { return t.param == "output" }) {
		p.DropOutput()
	}
	buf := make([]byte, ioChunk)
	for _, t := range wanted {
		f := found[t.name]
		if f == nil {
			continue // optional
		}
		lo, hi := t.span()
		if err := f.read(f.byName[t.name], floats[float32](p.Get(t.param).Value)[lo:hi], buf); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// checkTensors compares names, shapes and dtypes before anything of the model's size is allocated.
func checkTensors(dir string, cfg Config, wanted []hfTensor, found map[string]*safetensorsFile) error {
	var errs []error
	known := make(map[string]bool)
	for _, t := range wanted {
		known[t.name] = true
		f := found[t.name]
		switch {
		case f == nil && t.optional:
		case f == nil:
			errs = append(errs, fmt.Errorf("model: %s: tensor %q of shape %v is missing", dir, t.name, t.shape))
		case !slices.Equal(f.byName[t.name].shape, t.shape):
			errs = append(errs, fmt.Errorf("model: %s: tensor %q has shape %v, config.json wants %v", f.path, t.name, f.byName[t.name].shape, t.shape))
		default:
			if _, ok := dtypeSize(f.byName[t.name].dtype); !ok {
				errs = append(errs, f.read(f.byName[t.name], nil, nil))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		f := found[name]
		ignored := strings.HasSuffix(name, ".rotary_emb.inv_freq") || // old checkpoints store the frequencies
			name == "lm_head.weight" && cfg.TieEmbeddings // a copy of the embedding
		if !known[name] && !ignored {
			errs = append(errs, fmt.Errorf("model: %s: tensor %q belongs to no Llama of this config.json", f.path, name))
		}
	}
	const most = 10
	if len(errs) > most {
		errs = append(errs[:most], fmt.Errorf("model: %s: and %d more such errors", dir, len(errs)-most))
	}
	return errors.Join(errs...)
}

// openShards opens the weights of a folder: one file, or those that the index names.
func openShards(dir string) (_ []*safetensorsFile, err error) {
	if _, err := os.Stat(filepath.Join(dir, weightsFile)); err == nil {
		f, err := openSafetensors(filepath.Join(dir, weightsFile))
		if err != nil {
			return nil, err
		}
		return []*safetensorsFile{f}, nil
	}
	path := filepath.Join(dir, indexFile)
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("model: %s has neither %s nor %s (weights in other formats must be converted first): %w", dir, weightsFile, indexFile, err)
	}
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, fmt.Errorf("model: %s: %w", path, err)
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(index.WeightMap)) {
		file := index.WeightMap[name]
		if file != filepath.Base(file) || !filepath.IsLocal(file) {
			return nil, fmt.Errorf("model: %s: tensor %q lies in %q, want a file beside the index", path, name, file)
		}
		names = append(names, file)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	var shards []*safetensorsFile
	defer func() {
		if err != nil {
			for _, f := range shards {
				_ = f.Close() // the first error is the one to tell
			}
		}
	}()
	for _, name := range names {
		f, err := openSafetensors(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		shards = append(shards, f)
	}
	for _, name := range slices.Sorted(maps.Keys(index.WeightMap)) {
		file := index.WeightMap[name]
		i, _ := slices.BinarySearch(names, file)
		if _, ok := shards[i].byName[name]; !ok {
			return nil, fmt.Errorf("model: %s: tensor %q is not in %s", path, name, file)
		}
	}
	return shards, nil
}
