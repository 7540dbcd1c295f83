package llamacpp

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/tame-rlhf/tame/internal/bounded"
	"github.com/tame-rlhf/tame/internal/gguf"
	"github.com/tame-rlhf/tame/pkg/model/arch"
	"github.com/tame-rlhf/tame/pkg/model/internal/file"
)

// Keys of the metadata of a GGUF file.
const (
	keyArch      = "general.architecture"
	keyFileType  = "general.file_type"
	keyQuantised = "general.quantization_version"
	keyTokenizer = "tokenizer.ggml.model"
	keyTokens    = "tokenizer.ggml.tokens"
	keyBOS       = "tokenizer.ggml.bos_token_id"
	keyEOS       = "tokenizer.ggml.eos_token_id"
	keyEOT       = "tokenizer.ggml.eot_token_id" // the end of a turn, which ends an answer too
	keyEOM       = "tokenizer.ggml.eom_token_id" // and that of a message
)

// Keys of an architecture, whose name and a dot go before.
const (
	keyContext    = "context_length"
	keyWidth      = "embedding_length"
	keyLayers     = "block_count"
	keyHidden     = "feed_forward_length"
	keyHeads      = "attention.head_count"
	keyKVHeads    = "attention.head_count_kv"
	keyKeyWidth   = "attention.key_length"
	keyValueWidth = "attention.value_length"
	keyEps        = "attention.layer_norm_rms_epsilon"
	keyRopeDims   = "rope.dimension_count"
	keyRopeBase   = "rope.freq_base"
	keyVocabSize  = "vocab_size"
)

// architectures are the families by the names that llama.cpp has for their architectures. A Mistral is a Llama there.
var architectures = map[string]arch.Family{"llama": arch.FamilyLlama, "qwen2": arch.FamilyQwen2, "qwen3": arch.FamilyQwen3}

// architectureOf is the name of a family's architecture.
func architectureOf(f arch.Family) string {
	if f == arch.FamilyMistral {
		f = arch.FamilyLlama
	}
	return f.String()
}

// Tensors that tell the vocabulary's size, and whether the output is the embedding.
const (
	embedName  = "token_embd.weight"
	outputName = "output.weight"
	biasName   = "blk.0.attn_q.bias"
)

// fixed are the keys that are read as long as they say what the models here have.
var fixed = map[string]any{
	"general.type": "model",
	"split.count":  uint64(1), // files of a model that was shared out
}

// fixedOwn are those of an architecture. Any other key of it is refused.
var fixedOwn = map[string]any{
	"expert_count":             uint64(0),
	"expert_used_count":        uint64(0),
	"attention.causal":         true,
	"attention.sliding_window": uint64(0), // llama.cpp computes these architectures without one
	"use_parallel_residual":    false,
}

// reader reads metadata and collects what is wrong.
type reader struct {
	meta   map[string]any
	prefix string // of the keys of the architecture
	used   map[string]bool
	errs   []error
}

// seen is what the tensors tell that metadata do not.
type seen struct {
	vocab  int       // rows of the embedding
	tied   bool      // there is no output
	biased bool      // queries have a bias
	freqs  []float32 // rope_freqs.weight, nil for none
}

// decodeConfig reads the shape of a model.
func decodeConfig(meta map[string]any, has seen) (arch.Config, error) {
	name, _ := meta[keyArch].(string)
	family, known := architectures[name]
	if !known {
		return arch.Config{}, fmt.Errorf("%s is %s, only llama, qwen2 and qwen3 are supported", keyArch, shortValue(meta[keyArch]))
	}
	r := &reader{meta: meta, prefix: name + ".", used: map[string]bool{name + ".tensor_data_layout": true}}
	c := arch.Config{
		Family: family, AttentionBias: family == arch.FamilyLlama && has.biased,
		Dim: r.integer(keyWidth), NumLayers: r.integer(keyLayers), NumHeads: r.integer(keyHeads), HiddenDim: r.integer(keyHidden),
		MaxSeqLen: r.integer(keyContext), NormEps: r.numberOr(r.prefix+keyEps, 0), RopeTheta: r.numberOr(r.prefix+keyRopeBase, 1e4),
		VocabSize: has.vocab, TieEmbeddings: has.tied,
	}
	if _, ok := meta[r.prefix+keyEps]; !ok {
		r.bad("%s is missing", r.prefix+keyEps)
	}
	c.NumKVHeads = r.integerOr(r.prefix+keyKVHeads, c.NumHeads)
	if c.NumHeads > 0 {
		c.HeadDim = c.Dim / c.NumHeads
	}
	c.HeadDim = r.integerOr(r.prefix+keyKeyWidth, c.HeadDim)
	for _, key := range []string{keyValueWidth, keyRopeDims} {
		if n := r.integerOr(r.prefix+key, c.HeadDim); n != c.HeadDim {
			r.bad("%s is %d, only the width of a head, %d, is supported", r.prefix+key, n, c.HeadDim)
		}
	}
	r.rope(&c, has.freqs)
	r.vocabulary(&c)
	r.refuse()
	if len(r.errs) > 0 {
		return arch.Config{}, bounded.Few(r.errs)
	}
	return c, c.Validate()
}

func (r *reader) bad(format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf(format, args...))
}

// vocabulary reads what has to do with tokens.
func (r *reader) vocabulary(c *arch.Config) {
	if n := r.integerOr(r.prefix+keyVocabSize, c.VocabSize); n != c.VocabSize && c.VocabSize > 0 {
		r.bad("%s is %d, %s has %d rows", r.prefix+keyVocabSize, n, embedName, c.VocabSize)
	}
	// llama.cpp takes these ids for a vocabulary of kind "llama" that does not name them.
	bos, eos := 1, 2
	if r.meta[keyTokenizer] != "llama" {
		bos, eos = -1, -1
	}
	c.BOS, c.EOS = r.token(keyBOS, bos, c.VocabSize), r.token(keyEOS, eos, c.VocabSize)
}

// token reads an id. One outside of the vocabulary stands for none: the format has no other word for it (llama.cpp takes its default then).
func (r *reader) token(key string, def, vocab int) int32 {
	id := r.integerOr(key, def)
	if id < 0 || id >= vocab {
		return -1
	}
	return int32(id)
}

// ends are the ids besides EOS that end an answer in llama.cpp.
func ends(meta map[string]any, c arch.Config) []int32 {
	r := &reader{meta: meta, used: make(map[string]bool)}
	var ids []int32
	for _, key := range []string{keyEOT, keyEOM} {
		if id := r.token(key, -1, c.VocabSize); id >= 0 && id != c.EOS && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// refuse lists the metadata that describe something that is not computed here.
func (r *reader) refuse() {
	for _, key := range slices.Sorted(maps.Keys(r.meta)) {
		value := r.meta[key]
		own, isOwn := strings.CutPrefix(key, r.prefix)
		want, known := fixed[key]
		if isOwn {
			want, known = fixedOwn[own]
		}
		switch {
		case known:
			if got := wide64(value); got != want {
				r.bad("%s is %s, only %v is supported", key, shortValue(value), want)
			}
		case isOwn && !r.used[key]:
			r.bad("%s is %s, which is not supported", key, shortValue(value))
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
	x := reflect.ValueOf(v)
	switch {
	case x.CanUint():
		return x.Uint()
	case x.CanInt() && x.Int() >= 0:
		return uint64(x.Int())
	case x.CanInt():
		return x.Int()
	case x.Kind() == reflect.Float32:
		return decimal(float32(x.Float()))
	}
	return v
}

// integer reads a size of the architecture, which must be there.
func (r *reader) integer(key string) int {
	key = r.prefix + key
	if _, ok := r.meta[key]; !ok {
		r.bad("%s is missing", key)
	}
	return r.integerOr(key, 0)
}

// integerOr reads a whole number that may be missing. What does not fit an int32 is no size and no id.
func (r *reader) integerOr(key string, def int) int {
	r.used[key] = true
	v, ok := r.meta[key]
	if !ok {
		return def
	}
	switch n := wide64(v).(type) {
	case uint64:
		return int(min(n, 1<<31-1))
	case int64: // negative
		return -1
	}
	r.bad("%s is %s, want one whole number", key, shortValue(v))
	return def
}

// numberOr reads a number that may be missing.
func (r *reader) numberOr(key string, def float64) float64 {
	r.used[key] = true
	v, ok := r.meta[key]
	if !ok {
		return def
	}
	if x, ok := wide64(v).(float64); ok {
		return x
	}
	r.bad("%s is %s, want a number", key, shortValue(v))
	return def
}

// encodeConfig describes a model in metadata, with those of its vocabulary.
func encodeConfig(c arch.Config, typ gguf.Type, vocab map[string]any) (map[string]any, error) {
	size := func(n int) uint32 { return uint32(n) } // Config.Validate keeps sizes below 2^20
	prefix := architectureOf(c.Family) + "."
	m := map[string]any{
		keyArch:               architectureOf(c.Family),
		keyFileType:           fileTypes[typ],
		prefix + keyContext:   size(c.MaxSeqLen),
		prefix + keyWidth:     size(c.Dim),
		prefix + keyLayers:    size(c.NumLayers),
		prefix + keyHidden:    size(c.HiddenDim),
		prefix + keyHeads:     size(c.NumHeads),
		prefix + keyKVHeads:   size(c.NumKVHeads),
		prefix + keyRopeDims:  size(c.HeadDim),
		prefix + keyVocabSize: size(c.VocabSize),
		prefix + keyEps:       float32(c.NormEps),
		prefix + keyRopeBase:  float32(c.RopeTheta),
		keyBOS:                uint32(c.BOS), // -1 becomes an id outside of the vocabulary: see reader.token
		keyEOS:                uint32(c.EOS),
	}
	encodeRope(m, prefix, c)
	for _, key := range []string{prefix + keyEps, prefix + keyRopeBase} {
		if x := m[key].(float32); x == 0 || math.IsInf(float64(x), 0) {
			return nil, fmt.Errorf("%s does not fit a float32", key)
		}
	}
	if c.HeadDim*c.NumHeads != c.Dim {
		m[prefix+keyKeyWidth], m[prefix+keyValueWidth] = size(c.HeadDim), size(c.HeadDim)
	}
	if typ == gguf.Q8_0 {
		m[keyQuantised] = uint32(2)
	}
	if err := sameConfig(c, m); err != nil {
		return nil, err
	}
	if vocab == nil {
		m[keyTokenizer] = "none"
		return m, nil
	}
	if tokens, ok := vocab[keyTokens].([]string); !ok || len(tokens) != c.VocabSize {
		return nil, fmt.Errorf("the vocabulary has %d tokens, the model %d", len(tokens), c.VocabSize)
	}
	for key, value := range vocab {
		if old, there := m[key]; there && old != value {
			return nil, fmt.Errorf("%s is %v in the vocabulary, %v in the model", key, value, old)
		}
		m[key] = value
	}
	return m, nil
}

// sameConfig is an error if metadata do not say all of a Config. NormEps, RopeTheta and the numbers of Rope are float32. A Mistral comes
// back as a Llama, which computes the same if no sequence is longer than the window.
func sameConfig(c arch.Config, meta map[string]any) error {
	back, err := decodeConfig(meta, seen{vocab: c.VocabSize, tied: c.TieEmbeddings, biased: c.AttentionBias, freqs: ropeFreqs(c)})
	if err != nil {
		return err
	}
	c.NormEps, c.RopeTheta = decimal(float32(c.NormEps)), decimal(float32(c.RopeTheta))
	if c.Family == arch.FamilyMistral {
		c.Family = arch.FamilyLlama
	}
	if !c.Windowed() {
		c.Window, c.FullLayers = 0, 0
	}
	for _, x := range []*float64{&c.Rope.Factor, &c.Rope.BetaFast, &c.Rope.BetaSlow} {
		*x = decimal(float32(*x))
	}
	return file.SameConfig(c, back)
}

// decimal is the shortest decimal number that is this float32: 1e-5 and not 9.999999747378752e-06.
func decimal(x float32) float64 {
	v, err := strconv.ParseFloat(strconv.FormatFloat(float64(x), 'g', -1, 32), 64)
	if err != nil {
		return float64(x) // not finite
	}
	return v
}
