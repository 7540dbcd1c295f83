package meta

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tame-rlhf/tame/pkg/model/arch"
	"github.com/tame-rlhf/tame/pkg/model/internal/file"
)

// Context is what Llama 2 was trained with: params.json does not state it.
const Context = 4096

// settings are the params.json that is written.
type settings struct {
	Dim        int     `json:"dim"`
	NumLayers  int     `json:"n_layers"`
	NumHeads   int     `json:"n_heads"`
	NumKVHeads int     `json:"n_kv_heads,omitempty"`
	VocabSize  int     `json:"vocab_size"`
	MultipleOf int     `json:"multiple_of"`
	FFNMult    float64 `json:"ffn_dim_multiplier,omitempty"`
	NormEps    float64 `json:"norm_eps"`
	RopeTheta  float64 `json:"rope_theta,omitempty"`
}

// known are the fields that are read; another one may change the model.
var known = []string{
	"dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "multiple_of", "ffn_dim_multiplier", "norm_eps", "rope_theta", "max_seq_len",
	"max_batch_size", "use_scaled_rope",
}

// seen is what the tensors tell that params.json does not.
type seen struct {
	vocab  int // rows of the embedding
	hidden int // width of the feed-forward net, 0 if it is not known
	tied   bool
}

// decodeConfig reads params.json.
func decodeConfig(raw []byte, tensors func(dim int) seen) (arch.Config, error) {
	fields, err := file.Object(raw)
	if err != nil {
		return arch.Config{}, err
	}
	f := &file.Fields{Raw: fields}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !slices.Contains(known, name) {
			f.Bad("%s is %s, which is not supported", file.Short(name), file.Short(string(fields[name])))
		}
	}
	c := arch.Config{
		Dim: f.Size("dim"), NumLayers: f.Size("n_layers"), NumHeads: f.Size("n_heads"),
		VocabSize: file.Field(f, "vocab_size", -1), MaxSeqLen: file.Field(f, "max_seq_len", Context),
		NormEps: file.Field(f, "norm_eps", 1e-5), RopeTheta: file.Field(f, "rope_theta", 1e4), BOS: 1, EOS: 2,
	}
	c.NumKVHeads = file.Field(f, "n_kv_heads", c.NumHeads)
	file.Field(f, "max_batch_size", 0) // changes nothing
	if file.Field(f, "use_scaled_rope", false) {
		f.Bad("use_scaled_rope is true, only false is supported")
	}
	if c.NumHeads > 0 {
		if c.Dim%c.NumHeads != 0 {
			f.Bad("dim %d is no multiple of n_heads %d", c.Dim, c.NumHeads)
		}
		c.HeadDim = c.Dim / c.NumHeads
	}
	has := tensors(c.Dim)
	c.HiddenDim, c.TieEmbeddings = has.hidden, has.tied
	multiple, mult := file.Field(f, "multiple_of", 0), file.Field(f, "ffn_dim_multiplier", 1.0)
	if multiple > 0 && c.HiddenDim > 0 {
		if want := arch.FFNHidden(c.Dim, mult, multiple); want != c.HiddenDim {
			f.Bad("multiple_of and ffn_dim_multiplier give a hidden width of %d, the weights have %d", want, c.HiddenDim)
		}
	}
	if c.VocabSize < 0 { // Llama 2 came with -1: as many as the tokenizer has
		c.VocabSize = has.vocab
	}
	if len(f.Errs) > 0 {
		return arch.Config{}, errors.Join(f.Errs...)
	}
	return c, c.Validate()
}

// encodeConfig describes a model in the words of params.json. The hidden width follows there from
// multiple_of and ffn_dim_multiplier; MaxSeqLen has no place in it.
func encodeConfig(c arch.Config) ([]byte, error) {
	s := settings{
		Dim: c.Dim, NumLayers: c.NumLayers, NumHeads: c.NumHeads, VocabSize: c.VocabSize, MultipleOf: 256, NormEps: c.NormEps,
	}
	if c.NumKVHeads != c.NumHeads {
		s.NumKVHeads = c.NumKVHeads
	}
	if c.RopeTheta != 1e4 { // Llama 2 has no such field
		s.RopeTheta = c.RopeTheta
	}
	if arch.FFNHidden(c.Dim, 1, s.MultipleOf) != c.HiddenDim {
		s.MultipleOf = c.HiddenDim
		if usual := 8 * c.Dim / 3; usual > c.HiddenDim {
			s.FFNMult = float64(c.HiddenDim) / float64(usual)
		}
	}
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
