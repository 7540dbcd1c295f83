package model

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/gguf"
	"github.com/tame-rlhf/tame/internal/parallel"
)

// loadGGUF reads a model of llama.cpp's format. Each number is read once, to where it belongs.
func loadGGUF(path string) (_ *Params, err error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	cfg, err := readGGUFConfig(f)
	if err != nil {
		return nil, fmt.Errorf("model: %s: %w", path, err)
	}
	wanted := pairedTensors(cfg)
	if err := checkGGUFTensors(f, wanted); err != nil {
		return nil, fmt.Errorf("model: %s: %w", path, err)
	}
	p := NewParams(cfg, tensor.Float32)
	for _, t := range wanted {
		if err := decodeGGUF(f, t, p); err != nil {
			return nil, fmt.Errorf("model: %w", err)
		}
	}
	return p, nil
}

// decodeGGUF fills some rows of a weight, on all cores.
func decodeGGUF(f *gguf.File, t pairedTensor, p *Params) error {
	info, _ := f.Tensor(t.gguf)
	rows, cols := t.size()
	place := t.rowOf(p)
	var mu sync.Mutex
	var first error
	const grain = 1 << 18 // numbers that are worth another goroutine
	parallel.For(rows, max(1, grain/cols), func(lo, hi int) {
		if err := f.Decode(info, lo, hi, place); err != nil {
			mu.Lock()
			defer mu.Unlock()
			if first == nil {
				first = err
			}
		}
	})
	return first
}

// checkGGUFTensors compares names, shapes and types before anything of the model's size is allocated.
func checkGGUFTensors(f *gguf.File, wanted []pairedTensor) error {
	var errs []error
	known := make(map[string]bool)
	for _, w := range wanted {
		known[w.gguf] = true
		t, ok := f.Tensor(w.gguf)
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("tensor %q of shape %v is missing", w.gguf, w.shape))
		case !slices.Equal(t.Shape, w.shape):
			errs = append(errs, fmt.Errorf("tensor %q has shape %v, the metadata want %v", w.gguf, t.Shape, w.shape))
		case !t.Type.Readable():
			errs = append(errs, fmt.Errorf("tensor %q is %v, only F32, F16, BF16 and Q8_0 are read", w.gguf, t.Type))
		}
	}
	for _, t := range f.Tensors {
		if !known[t.Name] {
			errs = append(errs, fmt.Errorf("tensor %q of shape %v belongs to no Llama of these metadata", t.Name, t.Shape))
		}
	}
	return fewErrors(errs)
}

// fewErrors joins the first errors of a list that may be long.
func fewErrors(errs []error) error {
	const most = 10
	if len(errs) > most {
		errs = append(errs[:most:most], fmt.Errorf("and %d more such errors", len(errs)-most))
	}
	return errors.Join(errs...)
}

// Keys of the metadata of a Llama in a GGUF file.
const (
	ggufArch       = "general.architecture"
	ggufFileType   = "general.file_type"
	ggufQuantised  = "general.quantization_version"
	ggufContext    = "llama.context_length"
	ggufWidth      = "llama.embedding_length"
	ggufLayers     = "llama.block_count"
	ggufHidden     = "llama.feed_forward_length"
	ggufHeads      = "llama.attention.head_count"
	ggufKVHeads    = "llama.attention.head_count_kv"
	ggufKeyWidth   = "llama.attention.key_length"
	ggufValueWidth = "llama.attention.value_length"
	ggufEps        = "llama.attention.layer_norm_rms_epsilon"
	ggufRopeDims   = "llama.rope.dimension_count"
	ggufRopeBase   = "llama.rope.freq_base"
	ggufVocabSize  = "llama.vocab_size"
	ggufTokenizer  = "tokenizer.ggml.model"
	ggufTokens     = "tokenizer.ggml.tokens"
	ggufBOS        = "tokenizer.ggml.bos_token_id"
	ggufEOS        = "tokenizer.ggml.eos_token_id"

	ggufEmbed, ggufOutput = "token_embd.weight", "output.weight"
)

// ggufFixed are the keys that are read as long as they say what a Llama 2 has. Any other key of the architecture is refused.
var ggufFixed = map[string]any{
	"general.type":                   "model",
	"split.count":                    uint64(1), // files of a model that was shared out
	"llama.rope.scaling.type":        "none",
	"llama.rope.scaling.factor":      float64(1),
	"llama.rope.scale_linear":        float64(1),
	"llama.expert_count":             uint64(0),
	"llama.expert_used_count":        uint64(0),
	"llama.attention.causal":         true,
	"llama.attention.sliding_window": uint64(0),
	"llama.use_parallel_residual":    false,
}

// ggufReader reads metadata and collects what is wrong.
type ggufReader struct {
	f    *gguf.File
	used map[string]bool
	errs []error
}

// readGGUFConfig reads the shape of a model.
func readGGUFConfig(f *gguf.File) (Config, error) {
	r := &ggufReader{f: f, used: map[string]bool{"llama.tensor_data_layout": true}}
	if arch, _ := f.Value(ggufArch); arch != "llama" {
		return Config{}, fmt.Errorf("%s is %s, only llama is supported", ggufArch, shortValue(arch))
	}
	c := Config{
		Dim: r.integer(ggufWidth), NumLayers: r.integer(ggufLayers), NumHeads: r.integer(ggufHeads), HiddenDim: r.integer(ggufHidden),
		MaxSeqLen: r.integer(ggufContext), NormEps: r.number(ggufEps, 0), RopeTheta: r.number(ggufRopeBase, 1e4),
	}
	if _, ok := f.Value(ggufEps); !ok {
		r.errs = append(r.errs, fmt.Errorf("%s is missing", ggufEps))
	}
	c.NumKVHeads = r.integerOr(ggufKVHeads, c.NumHeads)
	if c.NumHeads > 0 {
		c.HeadDim = c.Dim / c.NumHeads
	}
	c.HeadDim = r.integerOr(ggufKeyWidth, c.HeadDim)
	for _, key := range []string{ggufValueWidth, ggufRopeDims} {
		if n := r.integerOr(key, c.HeadDim); n != c.HeadDim {
			r.errs = append(r.errs, fmt.Errorf("%s is %d, only the width of a head, %d, is supported", key, n, c.HeadDim))
		}
	}
	r.vocabulary(&c)
	r.refuse()
	if len(r.errs) > 0 {
		return Config{}, fewErrors(r.errs)
	}
	return c, c.Validate()
}

// vocabulary reads what has to do with tokens.
func (r *ggufReader) vocabulary(c *Config) {
	embed, _ := r.f.Tensor(ggufEmbed)
	if len(embed.Shape) == 2 {
		c.VocabSize = embed.Shape[0]
	}
	if n := r.integerOr(ggufVocabSize, c.VocabSize); n != c.VocabSize && c.VocabSize > 0 {
		r.errs = append(r.errs, fmt.Errorf("%s is %d, %s has %d rows", ggufVocabSize, n, ggufEmbed, c.VocabSize))
	}
	_, untied := r.f.Tensor(ggufOutput)
	c.TieEmbeddings = !untied
	// llama.cpp takes these ids for a vocabulary of kind "llama" that does not name them.
	bos, eos := 1, 2
	if model, _ := r.f.Value(ggufTokenizer); model != "llama" {
		bos, eos = -1, -1
	}
	c.BOS, c.EOS = r.token(ggufBOS, bos, c.VocabSize), r.token(ggufEOS, eos, c.VocabSize)
}

// token reads an id. One outside of the vocabulary stands for none: the format has no other word for it (llama.cpp takes its default then).
func (r *ggufReader) token(key string, def, vocab int) int32 {
	id := r.integerOr(key, def)
	if id < 0 || id >= vocab {
		return -1
	}
	return int32(id)
}

// refuse lists the metadata that describe something other than Llama 2.
func (r *ggufReader) refuse() {
	for _, kv := range r.f.Metadata {
		want, fixed := ggufFixed[kv.Key]
		switch {
		case fixed:
			if got := wide64(kv.Value); got != want {
				r.errs = append(r.errs, fmt.Errorf("%s is %s, only %v is supported", kv.Key, shortValue(kv.Value), want))
			}
		case len(kv.Key) > 6 && kv.Key[:6] == "llama." && !r.used[kv.Key]:
			r.errs = append(r.errs, fmt.Errorf("%s is %s, which is not supported", kv.Key, shortValue(kv.Value)))
		}
	}
}

// shortValue is a value for an error: of an array only its length.
func shortValue(v any) string {
	if s := fmt.Sprint(v); len(s) <= 40 {
		return s
	}
	return "long"
}

// wide64 makes a number one of 64 bits, so that numbers can be compared.
func wide64(v any) any {
	switch v := v.(type) {
	case uint8:
		return uint64(v)
	case uint16:
		return uint64(v)
	case uint32:
		return uint64(v)
	case int8, int16, int32, int64:
		n := signed(v)
		if n >= 0 {
			return uint64(n)
		}
		return n
	case float32:
		return decimal(v)
	}
	return v
}

func signed(v any) int64 {
	switch v := v.(type) {
	case int8:
		return int64(v)
	case int16:
		return int64(v)
	case int32:
		return int64(v)
	case int64:
		return v
	}
	return 0
}

// integer reads a size, which must be there.
func (r *ggufReader) integer(key string) int {
	if _, ok := r.f.Value(key); !ok {
		r.errs = append(r.errs, fmt.Errorf("%s is missing", key))
	}
	return r.integerOr(key, 0)
}

// integerOr reads a whole number that may be missing. What does not fit an int32 is no size and no id.
func (r *ggufReader) integerOr(key string, def int) int {
	r.used[key] = true
	v, ok := r.f.Value(key)
	if !ok {
		return def
	}
	switch n := wide64(v).(type) {
	case uint64:
		return int(min(n, 1<<31-1))
	case int64: // negative
		return -1
	}
	r.errs = append(r.errs, fmt.Errorf("%s is %s, want one whole number", key, shortValue(v)))
	return def
}

func (r *ggufReader) number(key string, def float64) float64 {
	r.used[key] = true
	v, ok := r.f.Value(key)
	if !ok {
		return def
	}
	if x, ok := wide64(v).(float64); ok {
		return x
	}
	r.errs = append(r.errs, fmt.Errorf("%s is %s, want a number", key, shortValue(v)))
	return def
}

// sortedKeys gives metadata in a fixed order, so that the same model gives the same bytes.
func sortedKeys(m map[string]any) []gguf.KeyValue {
	var list []gguf.KeyValue
	for _, key := range slices.Sorted(maps.Keys(m)) {
		list = append(list, gguf.KeyValue{Key: key, Value: m[key]})
	}
	return list
}
