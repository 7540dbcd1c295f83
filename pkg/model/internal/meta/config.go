package meta

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tame-rlhf/tame/pkg/model/arch"
	"github.com/tame-rlhf/tame/pkg/model/internal/file"
)

// Context is what Llama 2 was trained with: params.json does not state it.
const Context = 4096

// settings are the params.json of Meta's checkpoints. Pointers tell absent or null from zero.
type settings struct {
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

// seen is what the tensors tell that params.json does not.
type seen struct {
	vocab  int // rows of the embedding
	hidden int // width of the feed-forward net, 0 if it is not known
	tied   bool
}

// decodeConfig reads params.json.
func decodeConfig(raw []byte, tensors func(dim int) seen) (arch.Config, error) {
	var s settings
	if err := json.Unmarshal(raw, &s); err != nil {
		return arch.Config{}, err
	}
	errs := unknownFields(raw)
	need := func(name string, v *int) int {
		if v == nil {
			errs = append(errs, fmt.Errorf("%s is missing", name))
		}
		return orElse(v, 0)
	}
	c := arch.Config{
		Dim: need("dim", s.Dim), NumLayers: need("n_layers", s.NumLayers), NumHeads: need("n_heads", s.NumHeads),
		VocabSize: orElse(s.VocabSize, -1), MaxSeqLen: orElse(s.MaxSeqLen, Context), NormEps: orElse(s.NormEps, 1e-5),
		RopeTheta: orElse(s.RopeTheta, 1e4), BOS: 1, EOS: 2,
	}
	c.NumKVHeads = orElse(s.NumKVHeads, c.NumHeads)
	if orElse(s.UseScaled, false) {
		errs = append(errs, errors.New("use_scaled_rope is true, only false is supported"))
	}
	if c.NumHeads > 0 {
		if c.Dim%c.NumHeads != 0 {
			errs = append(errs, fmt.Errorf("dim %d is no multiple of n_heads %d", c.Dim, c.NumHeads))
		}
		c.HeadDim = c.Dim / c.NumHeads
	}
	has := tensors(c.Dim)
	c.HiddenDim, c.TieEmbeddings = has.hidden, has.tied
	if s.MultipleOf != nil && *s.MultipleOf > 0 && c.HiddenDim > 0 {
		if want := arch.FFNHidden(c.Dim, orElse(s.FFNMult, 1), *s.MultipleOf); want != c.HiddenDim {
			errs = append(errs, fmt.Errorf("multiple_of and ffn_dim_multiplier give a hidden width of %d, the weights have %d", want, c.HiddenDim))
		}
	}
	if c.VocabSize < 0 { // Llama 2 came with -1: as many as the tokenizer has
		c.VocabSize = has.vocab
	}
	if len(errs) > 0 {
		return arch.Config{}, errors.Join(errs...)
	}
	return c, c.Validate()
}

// unknownFields refuses what may change the model.
func unknownFields(raw []byte) []error {
	all, err := file.Object(raw)
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
		errs = append(errs, fmt.Errorf("%s is %s, which is not supported", file.Short(name), file.Short(string(value))))
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errs
}

// encodeConfig describes a model in the words of params.json. The hidden width follows there from
// multiple_of and ffn_dim_multiplier; MaxSeqLen has no place in it.
func encodeConfig(c arch.Config) ([]byte, error) {
	s := settings{Dim: &c.Dim, NumLayers: &c.NumLayers, NumHeads: &c.NumHeads, VocabSize: &c.VocabSize, NormEps: &c.NormEps}
	if c.NumKVHeads != c.NumHeads {
		s.NumKVHeads = &c.NumKVHeads
	}
	if c.RopeTheta != 1e4 { // Llama 2 has no such field
		s.RopeTheta = &c.RopeTheta
	}
	multiple := 256
	if arch.FFNHidden(c.Dim, 1, multiple) != c.HiddenDim {
		multiple = c.HiddenDim
		if usual := 8 * c.Dim / 3; usual > c.HiddenDim {
			mult := float64(c.HiddenDim) / float64(usual)
			s.FFNMult = &mult
		}
	}
	s.MultipleOf = &multiple
	raw, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	back, err := decodeConfig(raw, func(int) seen { return seen{hidden: c.HiddenDim, tied: c.TieEmbeddings} })
	if err != nil {
		return nil, fmt.Errorf("%s cannot express the model: %w", ParamsFile, err)
	}
	back.MaxSeqLen = c.MaxSeqLen
	return append(raw, '\n'), file.SameConfig(c, back)
}

// orElse is what p points to, or def.
func orElse[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}
