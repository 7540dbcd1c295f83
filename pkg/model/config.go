package model

import (
	"errors"
	"fmt"
	"math"
)

// Config is the shape of a Llama 2 model (section 2.2 and Table 1 of the paper). Zero is never rewritten: start from one of the
// presets or fill every field.
type Config struct {
	// Dim is the model width C. 7B: 4096.
	Dim int
	// NumLayers is the number of decoder layers. 7B: 32.
	NumLayers int
	// NumHeads is the number of query heads H. 7B: 32.
	NumHeads int
	// NumKVHeads is the number of key/value heads KV; it divides NumHeads. Equal to NumHeads: multi-head attention, 1: multi-query
	// attention, between: grouped-query attention (34B and 70B: 8).
	NumKVHeads int
	// HeadDim is the width D of one head; even, because RoPE rotates pairs. Llama 2: Dim / NumHeads = 128.
	HeadDim int
	// HiddenDim is the hidden width F of the feed-forward layer; see FFNHidden. 7B: 11008.
	HiddenDim int
	// VocabSize is the number of tokens V. Llama 2: 32000.
	VocabSize int
	// MaxSeqLen is the context length in tokens. Llama 2: 4096.
	MaxSeqLen int
	// NormEps is added to the mean square in RMSNorm. Llama 2: 1e-5.
	NormEps float64
	// RopeTheta is the base of the rotary frequencies. Llama 2: 1e4.
	RopeTheta float64
	// TieEmbeddings shares the embedding with the output projection. Llama 2: false.
	TieEmbeddings bool
	// BOS and EOS are the ids that begin and end a sequence; -1 for none. Llama 2: 1 and 2.
	BOS, EOS int32
}

// FFNHidden is the hidden width of the feed-forward layer that Llama gives a model of that width: 2/3 of 4*dim, times mult,
// rounded up to a multiple of multipleOf.
func FFNHidden(dim int, mult float64, multipleOf int) int {
	hidden := int(mult * float64(8*dim/3))
	return (hidden + multipleOf - 1) / multipleOf * multipleOf
}

// Llama2_7B is the shape of Llama 2 7B (Table 1).
func Llama2_7B() Config { return llama2(4096, 32, 32, 32, 1, 256) }

// Llama2_13B is the shape of Llama 2 13B (Table 1).
func Llama2_13B() Config { return llama2(5120, 40, 40, 40, 1, 256) }

// Llama2_34B is the shape of Llama 2 34B (Table 1), with grouped-query attention.
func Llama2_34B() Config { return llama2(8192, 48, 64, 8, 1, 256) }

// Llama2_70B is the shape of Llama 2 70B (Table 1), with grouped-query attention.
func Llama2_70B() Config { return llama2(8192, 80, 64, 8, 1.3, 4096) }

func llama2(dim, layers, heads, kvHeads int, ffnMult float64, ffnMultipleOf int) Config {
	return Config{
		Dim: dim, NumLayers: layers, NumHeads: heads, NumKVHeads: kvHeads, HeadDim: dim / heads,
		HiddenDim: FFNHidden(dim, ffnMult, ffnMultipleOf), VocabSize: 32000, MaxSeqLen: 4096,
		NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}
}

// Bounds of the sizes of a Config: the bytes of its weights fit an int64, and listing their names takes no memory to speak of, so that a
// damaged file is found out before anything large is allocated.
const (
	maxSize   = 1 << 20
	maxLayers = 1 << 12
)

// Validate reports everything that is wrong with the config at once.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("model: config: "+format, args...)) }
	for _, f := range []struct {
		name       string
		value, max int
	}{
		{"Dim", c.Dim, maxSize}, {"NumLayers", c.NumLayers, maxLayers}, {"NumHeads", c.NumHeads, maxSize}, {"NumKVHeads", c.NumKVHeads, maxSize},
		{"HeadDim", c.HeadDim, maxSize}, {"HiddenDim", c.HiddenDim, maxSize}, {"VocabSize", c.VocabSize, maxSize}, {"MaxSeqLen", c.MaxSeqLen, maxSize},
	} {
		if f.value < 1 || f.value > f.max {
			bad("%s is %d, want 1 to %d", f.name, f.value, f.max)
		}
	}
	if c.NumHeads > 0 && c.HeadDim > maxSize/c.NumHeads {
		bad("NumHeads %d times HeadDim %d is more than %d", c.NumHeads, c.HeadDim, maxSize)
	}
	if c.NumKVHeads > 0 && c.NumHeads%c.NumKVHeads != 0 {
		bad("NumHeads %d is no multiple of NumKVHeads %d", c.NumHeads, c.NumKVHeads)
	}
	if c.HeadDim%2 != 0 {
		bad("HeadDim is %d, want an even number: RoPE rotates pairs", c.HeadDim)
	}
	if !(c.NormEps > 0) || math.IsInf(c.NormEps, 0) {
		bad("NormEps is %v, want a positive number (Llama 2: 1e-5)", c.NormEps)
	}
	if !(c.RopeTheta > 0) || math.IsInf(c.RopeTheta, 0) {
		bad("RopeTheta is %v, want a positive number (Llama 2: 1e4)", c.RopeTheta)
	}
	if c.BOS < -1 || int(c.BOS) >= c.VocabSize {
		bad("BOS is %d, want -1 (none) or an id below VocabSize %d", c.BOS, c.VocabSize)
	}
	if c.EOS < -1 || int(c.EOS) >= c.VocabSize {
		bad("EOS is %d, want -1 (none) or an id below VocabSize %d", c.EOS, c.VocabSize)
	}
	return errors.Join(errs...)
}

// NumParams is the number of weights of the language model, a scalar head not counted. Shared output weights count once.
func (c Config) NumParams() int64 {
	var n int64
	for _, s := range c.paramSpecs() {
		n += int64(s.rows) * int64(max(s.cols, 1))
	}
	return n
}

// CheckTokens wants ids of the vocabulary. Ids from a tokenizer of another model are seldom all inside of it.
func (c Config) CheckTokens(ids []int32) error {
	for i, id := range ids {
		if id < 0 || int(id) >= c.VocabSize {
			return fmt.Errorf("model: token %d is %d, outside of the vocabulary of %d: does the tokenizer belong to the model?", i, id, c.VocabSize)
		}
	}
	return nil
}

// qkvDim is the width of the packed queries, keys and values: (H + 2 KV) D.
func (c Config) qkvDim() int { return (c.NumHeads + 2*c.NumKVHeads) * c.HeadDim }

// paramSpec is the name and shape of one weight; cols is 0 for a vector.
type paramSpec struct {
	name       string
	rows, cols int
	residual   bool // writes into the residual stream
}

func (s paramSpec) shape() []int {
	if s.cols == 0 {
		return []int{s.rows}
	}
	return []int{s.rows, s.cols}
}

// paramSpecs lists the weights of the language model in their fixed order.
func (c Config) paramSpecs() []paramSpec {
	specs := []paramSpec{{name: "embed", rows: c.VocabSize, cols: c.Dim}}
	for i := range c.NumLayers {
		specs = append(specs,
			paramSpec{name: layerName(i, "attn_norm"), rows: c.Dim},
			paramSpec{name: layerName(i, "qkv"), rows: c.qkvDim(), cols: c.Dim},
			paramSpec{name: layerName(i, "attn_out"), rows: c.Dim, cols: c.NumHeads * c.HeadDim, residual: true},
			paramSpec{name: layerName(i, "ffn_norm"), rows: c.Dim},
			paramSpec{name: layerName(i, "gate_up"), rows: 2 * c.HiddenDim, cols: c.Dim},
			paramSpec{name: layerName(i, "down"), rows: c.Dim, cols: c.HiddenDim, residual: true},
		)
	}
	specs = append(specs, paramSpec{name: "norm", rows: c.Dim})
	if !c.TieEmbeddings {
		specs = append(specs, paramSpec{name: "output", rows: c.VocabSize, cols: c.Dim})
	}
	return specs
}

func layerName(layer int, part string) string { return fmt.Sprintf("layers.%d.%s", layer, part) }
