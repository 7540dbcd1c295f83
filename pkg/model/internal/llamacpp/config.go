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

// Keys of the metadata of a Llama in a GGUF file.
const (
	keyArch       = "general.architecture"
	keyFileType   = "general.file_type"
	keyQuantised  = "general.quantization_version"
	keyContext    = "llama.context_length"
	keyWidth      = "llama.embedding_length"
	keyLayers     = "llama.block_count"
	keyHidden     = "llama.feed_forward_length"
	keyHeads      = "llama.attention.head_count"
	keyKVHeads    = "llama.attention.head_count_kv"
	keyKeyWidth   = "llama.attention.key_length"
	keyValueWidth = "llama.attention.value_length"
	keyEps        = "llama.attention.layer_norm_rms_epsilon"
	keyRopeDims   = "llama.rope.dimension_count"
	keyRopeBase   = "llama.rope.freq_base"
	keyVocabSize  = "llama.vocab_size"
	keyTokenizer  = "tokenizer.ggml.model"
	keyTokens     = "tokenizer.ggml.tokens"
	keyBOS        = "tokenizer.ggml.bos_token_id"
	keyEOS        = "tokenizer.ggml.eos_token_id"
	keyEOT        = "tokenizer.ggml.eot_token_id" // the end of a turn, which ends an answer too
	keyEOM        = "tokenizer.ggml.eom_token_id" // and that of a message
)

// Tensors that tell the vocabulary's size, and whether the output is the embedding.
const (
	embedName  = "token_embd.weight"
	outputName = "output.weight"
)

// fixed are the keys that are read as long as they say what a Llama 2 has. Any other key of the architecture is refused.
var fixed = map[string]any{
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

// reader reads metadata and collects what is wrong.
type reader struct {
	meta map[string]any
	used map[string]bool
	errs []error
}

// decodeConfig reads the shape of a model with an embedding of vocab rows. A tied one has no output.
func decodeConfig(meta map[string]any, vocab int, tied bool) (arch.Config, error) {
	r := &reader{meta: meta, used: map[string]bool{"llama.tensor_data_layout": true}}
	if kind := meta[keyArch]; kind != "llama" {
		return arch.Config{}, fmt.Errorf("%s is %s, only llama is supported", keyArch, shortValue(kind))
	}
	c := arch.Config{
		Dim: r.integer(keyWidth), NumLayers: r.integer(keyLayers), NumHeads: r.integer(keyHeads), HiddenDim: r.integer(keyHidden),
		MaxSeqLen: r.integer(keyContext), NormEps: r.number(keyEps, 0), RopeTheta: r.number(keyRopeBase, 1e4),
		VocabSize: vocab, TieEmbeddings: tied,
	}
	if _, ok := meta[keyEps]; !ok {
		r.errs = append(r.errs, fmt.Errorf("%s is missing", keyEps))
	}
	c.NumKVHeads = r.integerOr(keyKVHeads, c.NumHeads)
	if c.NumHeads > 0 {
		c.HeadDim = c.Dim / c.NumHeads
	}
	c.HeadDim = r.integerOr(keyKeyWidth, c.HeadDim)
	for _, key := range []string{keyValueWidth, keyRopeDims} {
		if n := r.integerOr(key, c.HeadDim); n != c.HeadDim {
			r.errs = append(r.errs, fmt.Errorf("%s is %d, only the width of a head, %d, is supported", key, n, c.HeadDim))
		}
	}
	r.vocabulary(&c)
	r.refuse()
	if len(r.errs) > 0 {
		return arch.Config{}, bounded.Few(r.errs)
	}
	return c, c.Validate()
}

// vocabulary reads what has to do with tokens.
func (r *reader) vocabulary(c *arch.Config) {
	if n := r.integerOr(keyVocabSize, c.VocabSize); n != c.VocabSize && c.VocabSize > 0 {
		r.errs = append(r.errs, fmt.Errorf("%s is %d, %s has %d rows", keyVocabSize, n, embedName, c.VocabSize))
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

// refuse lists the metadata that describe something other than Llama 2.
func (r *reader) refuse() {
	for _, key := range slices.Sorted(maps.Keys(r.meta)) {
		value := r.meta[key]
		want, known := fixed[key]
		switch {
		case known:
			if got := wide64(value); got != want {
				r.errs = append(r.errs, fmt.Errorf("%s is %s, only %v is supported", key, shortValue(value), want))
			}
		case strings.HasPrefix(key, "llama.") && !r.used[key]:
			r.errs = append(r.errs, fmt.Errorf("%s is %s, which is not supported", key, shortValue(value)))
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

// integer reads a size, which must be there.
func (r *reader) integer(key string) int {
	if _, ok := r.meta[key]; !ok {
		r.errs = append(r.errs, fmt.Errorf("%s is missing", key))
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
	r.errs = append(r.errs, fmt.Errorf("%s is %s, want one whole number", key, shortValue(v)))
	return def
}

func (r *reader) number(key string, def float64) float64 {
	r.used[key] = true
	v, ok := r.meta[key]
	if !ok {
		return def
	}
	if x, ok := wide64(v).(float64); ok {
		return x
	}
	r.errs = append(r.errs, fmt.Errorf("%s is %s, want a number", key, shortValue(v)))
	return def
}

// encodeConfig describes a model in metadata, with those of its vocabulary.
func encodeConfig(c arch.Config, typ gguf.Type, vocab map[string]any) (map[string]any, error) {
	size := func(n int) uint32 { return uint32(n) } // Config.Validate keeps sizes below 2^20
	m := map[string]any{
		keyArch:      "llama",
		keyFileType:  fileTypes[typ],
		keyContext:   size(c.MaxSeqLen),
		keyWidth:     size(c.Dim),
		keyLayers:    size(c.NumLayers),
		keyHidden:    size(c.HiddenDim),
		keyHeads:     size(c.NumHeads),
		keyKVHeads:   size(c.NumKVHeads),
		keyRopeDims:  size(c.HeadDim),
		keyVocabSize: size(c.VocabSize),
		keyEps:       float32(c.NormEps),
		keyRopeBase:  float32(c.RopeTheta),
		keyBOS:       uint32(c.BOS), // -1 becomes an id outside of the vocabulary: see reader.token
		keyEOS:       uint32(c.EOS),
	}
	for _, key := range []string{keyEps, keyRopeBase} {
		if x := m[key].(float32); x == 0 || math.IsInf(float64(x), 0) {
			return nil, fmt.Errorf("%s does not fit a float32", key)
		}
	}
	if c.HeadDim*c.NumHeads != c.Dim {
		m[keyKeyWidth], m[keyValueWidth] = size(c.HeadDim), size(c.HeadDim)
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

// sameConfig is an error if metadata do not say all of a Config. NormEps and RopeTheta are float32.
func sameConfig(c arch.Config, meta map[string]any) error {
	back, err := decodeConfig(meta, c.VocabSize, c.TieEmbeddings)
	if err != nil {
		return err
	}
	c.NormEps, c.RopeTheta = decimal(float32(c.NormEps)), decimal(float32(c.RopeTheta))
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
