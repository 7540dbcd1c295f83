package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/pth"
)

const (
	metaParams = "params.json"
	metaFirst  = "consolidated.00.pth"

	// metaContext is what Llama 2 was trained with: params.json does not state it.
	metaContext = 4096
)

// metaConfig is the params.json of Meta's checkpoints. Pointers tell absent or null from zero.
type metaConfig struct {
	Dim        *int     `json:"dim"`
	NumLayers  *int     `json:"n_layers"`
	NumHeads   *int     `json:"n_heads"`
	NumKVHeads *int     `json:"n_kv_heads,omitempty"`
	VocabSize  *int     `json:"vocab_size"`
	MultipleOf *int     `json:"multiple_of"`
	FFNMult    *float64 `json:"ffn_dim_multiplier,omitempty"`
	NormEps    *float64 `json:"norm_eps"`
	RopeTheta  *float64 `json:"rope_theta,omitempty"`
	MaxSeqLen  *int     `json:"max_seq_len,omitempty"`
	MaxBatch   *int     `json:"max_batch_size,omitempty"`
	UseScaled  *bool    `json:"use_scaled_rope,omitempty"`
}

// isMetaShard says whether a file's name is that of one of Meta's.
func isMetaShard(name string) bool {
	return strings.HasPrefix(name, "consolidated.") && strings.HasSuffix(name, ".pth")
}

// isMeta says whether a folder holds a model in Meta's form only.
func isMeta(dir string) bool {
	_, errFirst := os.Stat(filepath.Join(dir, metaFirst))
	_, errHF := os.Stat(filepath.Join(dir, configFile))
	return errFirst == nil && errHF != nil
}

// loadMeta reads a folder with params.json and consolidated.00.pth, and those after it where the model was shared out among several.
func loadMeta(dir string) (_ *Params, err error) {
	m, err := openMeta(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	raw, err := readSmall(filepath.Join(dir, metaParams), maxConfigBytes)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	cfg, err := m.config(raw)
	if err != nil {
		return nil, fmt.Errorf("model: %s: %w", filepath.Join(dir, metaParams), err)
	}
	wanted := pairedTensors(cfg)
	if err := m.check(wanted); err != nil {
		return nil, fmt.Errorf("model: %s: %w", dir, err)
	}
	p := NewParams(cfg, tensor.Float32)
	for _, t := range wanted {
		if err := m.read(t, p); err != nil {
			return nil, fmt.Errorf("model: %w", err)
		}
	}
	return p, nil
}

// metaShards are the files of a model: each has some heads, some of the hidden width, some of the columns of the embedding.
type metaShards []*pth.File

func openMeta(dir string) (_ metaShards, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	var names []string // sorted
	for _, e := range entries {
		if isMetaShard(e.Name()) {
			names = append(names, e.Name())
		}
	}
	var m metaShards
	defer func() {
		if err != nil {
			err = errors.Join(err, m.close())
		}
	}()
	for i, name := range names {
		if want := fmt.Sprintf("consolidated.%02d.pth", i); name != want {
			return nil, fmt.Errorf("model: %s: %s is there, but %s is missing", dir, name, want)
		}
		f, err := pth.Open(filepath.Join(dir, name))
		if err != nil {
			return nil, fmt.Errorf("model: %w", err)
		}
		m = append(m, f)
	}
	if len(m) == 0 {
		return nil, fmt.Errorf("model: %s has no %s", dir, metaFirst)
	}
	return m, nil
}

func (m metaShards) close() error {
	var errs []error
	for _, f := range m {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// config reads params.json. What it does not say is seen from the tensors: the vocabulary and the hidden width.
func (m metaShards) config(raw []byte) (Config, error) {
	var h metaConfig
	if err := json.Unmarshal(raw, &h); err != nil {
		return Config{}, err
	}
	errs := unknownFields(raw)
	need := func(name string, v *int) int {
		if v == nil {
			errs = append(errs, fmt.Errorf("%s is missing", name))
		}
		return orElse(v, 0)
	}
	c := Config{
		Dim: need("dim", h.Dim), NumLayers: need("n_layers", h.NumLayers), NumHeads: need("n_heads", h.NumHeads),
		VocabSize: orElse(h.VocabSize, -1), MaxSeqLen: orElse(h.MaxSeqLen, metaContext), NormEps: orElse(h.NormEps, 1e-5), RopeTheta: orElse(h.RopeTheta, 1e4), BOS: 1, EOS: 2,
	}
	c.NumKVHeads = orElse(h.NumKVHeads, c.NumHeads)
	if orElse(h.UseScaled, false) {
		errs = append(errs, errors.New("use_scaled_rope is true, only false is supported"))
	}
	if c.NumHeads > 0 {
		if c.Dim%c.NumHeads != 0 {
			errs = append(errs, fmt.Errorf("dim %d is no multiple of n_heads %d", c.Dim, c.NumHeads))
		}
		c.HeadDim = c.Dim / c.NumHeads
	}
	if w1, ok := m[0].Tensor("layers.0.feed_forward.w1.weight"); ok && len(w1.Shape) == 2 {
		c.HiddenDim = w1.Shape[0] * len(m)
	}
	if h.MultipleOf != nil && *h.MultipleOf > 0 && c.HiddenDim > 0 {
		if want := FFNHidden(c.Dim, orElse(h.FFNMult, 1), *h.MultipleOf); want != c.HiddenDim {
			errs = append(errs, fmt.Errorf("multiple_of and ffn_dim_multiplier give a hidden width of %d, the weights have %d", want, c.HiddenDim))
		}
	}
	if c.VocabSize < 0 { // Llama 2 came with -1: as many as the tokenizer has
		c.VocabSize = m.vocabSize(c.Dim)
	}
	c.TieEmbeddings = m.tied()
	if len(errs) > 0 {
		return Config{}, errors.Join(errs...)
	}
	return c, c.Validate()
}

// unknownFields refuses what may change the model.
func unknownFields(raw []byte) []error {
	all, err := jsonObject(raw)
	if err != nil {
		return []error{err}
	}
	for _, name := range []string{
		"dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "multiple_of", "ffn_dim_multiplier", "norm_eps", "rope_theta", "max_seq_len",
		"max_batch_size", "use_scaled_rope",
	} {
		delete(all, name)
	}
	var errs []error
	for name, value := range all {
		errs = append(errs, fmt.Errorf("%s is %s, which is not supported", short(name), short(string(value))))
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errs
}

// vocabSize is the number of rows of the embedding, whichever way it was shared out.
func (m metaShards) vocabSize(dim int) int {
	e, ok := m[0].Tensor("tok_embeddings.weight")
	switch {
	case !ok || len(e.Shape) != 2:
		return 0 // check says what is wrong
	case e.Shape[1] == dim:
		return e.Shape[0] * len(m)
	}
	return e.Shape[0]
}

// tied says whether the output projection is the embedding: not there, or the same numbers of the file.
func (m metaShards) tied() bool {
	output, ok := m[0].Tensor("output.weight")
	embed, _ := m[0].Tensor("tok_embeddings.weight")
	return !ok || len(m) == 1 && output.Shares(embed)
}

// shape is that of a file's part of a tensor. Llama 3 shares the embedding out by rows, Llama 2 by columns.
func (m metaShards) shape(t pairedTensor) (shape []int, split int) {
	shape, split = slices.Clone(t.shape), t.split
	if split == whole || len(m) == 1 {
		return shape, whole
	}
	if t.param == "embed" {
		if e, ok := m[0].Tensor(t.meta); ok && len(e.Shape) == 2 && e.Shape[1] == t.shape[1] {
			split = 0
		}
	}
	shape[split] /= len(m)
	return shape, split
}

// check compares names and shapes before anything of the model's size is allocated.
func (m metaShards) check(wanted []pairedTensor) error {
	var errs []error
	known := map[string]bool{"rope.freqs": true} // follows from the head width
	for _, w := range wanted {
		known[w.meta] = true
		shape, split := m.shape(w)
		if split != whole && w.shape[split]%len(m) != 0 {
			errs = append(errs, fmt.Errorf("tensor %q of shape %v cannot be shared out among %d files", w.meta, w.shape, len(m)))
			continue
		}
		for _, f := range m {
			t, ok := f.Tensor(w.meta)
			if !ok {
				errs = append(errs, fmt.Errorf("%s: tensor %q of shape %v is missing", f.Path(), w.meta, shape))
			} else if !slices.Equal(t.Shape, shape) {
				errs = append(errs, fmt.Errorf("%s: tensor %q has shape %v, %s wants %v", f.Path(), w.meta, t.Shape, metaParams, shape))
			}
		}
	}
	if len(wanted) > 0 && !slices.ContainsFunc(wanted, func(t pairedTensor) bool { return t.param == "output" }) {
		known["output.weight"] = true // the embedding
	}
	for _, f := range m {
		for _, t := range f.Tensors {
			if !known[t.Name] {
				errs = append(errs, fmt.Errorf("%s: tensor %q of shape %v belongs to no Llama of this %s", f.Path(), t.Name, t.Shape, metaParams))
			}
		}
	}
	return fewErrors(errs)
}

// read fills some rows of a weight from all files.
func (m metaShards) read(t pairedTensor, p *Params) error {
	shape, split := m.shape(t)
	place := t.rowOf(p)
	for i, f := range m {
		at := place
		if split == whole && i > 0 { // norms: every file has them
			copied := make([]float32, shape[0])
			if err := readPth(f, t.meta, 1, shape[0], func(int) []float32 { return copied }); err != nil {
				return err
			}
			if !slices.Equal(copied, place(0)) {
				return fmt.Errorf("%s: tensor %q differs from that of %s: the files are not of one model", f.Path(), t.meta, m[0].Path())
			}
			continue
		}
		switch split {
		case 0:
			at = func(r int) []float32 { return place(i*shape[0] + r) }
		case 1:
			at = func(r int) []float32 { return place(r)[i*shape[1]:][:shape[1]] }
		}
		rows, cols := 1, shape[0]
		if len(shape) == 2 {
			rows, cols = shape[0], shape[1]
		}
		if err := readPth(f, t.meta, rows, cols, at); err != nil {
			return err
		}
	}
	return nil
}

// readPth converts the rows of a tensor, each into the numbers that place gives for it.
func readPth(f *pth.File, name string, rows, cols int, place func(r int) []float32) (err error) {
	t, _ := f.Tensor(name)
	r, err := f.Reader(t)
	if err != nil {
		return err
	}
	bytes, _ := dtypeSize(t.DType)
	size := int(bytes) * cols
	chunk := max(1, ioChunk/size) // rows
	buf := make([]byte, min(chunk, rows)*size)
	for lo := 0; lo < rows; lo += chunk {
		part := buf[:min(chunk, rows-lo)*size]
		if _, err := io.ReadFull(r, part); err != nil {
			return errors.Join(fmt.Errorf("%s: tensor %q: %w", f.Path(), name, err), r.Close())
		}
		for i := range len(part) / size {
			decodeFloats(place(lo+i), part[i*size:][:size], t.DType)
		}
	}
	return r.Close()
}

// orElse is what p points to, or def.
func orElse[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}
