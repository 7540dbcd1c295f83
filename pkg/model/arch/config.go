package arch

import (
	"fmt"
	"math"

	"github.com/tame-rlhf/tame/pkg/setting"
)

// Config is the shape of a model: of Llama 2 (section 2.2 and Table 1 of the paper) or of another Family. Zero is never
// replaced by a default: start from one of the presets or fill every field.
type Config struct {
	// Family is the kind of model: llama, mistral, qwen2 or qwen3. Llama 2: llama.
	Family Family
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
	// AttentionBias adds biases to queries, keys, values and the output of attention, in the families llama and qwen3. Those that qwen2 always
	// has on queries, keys and values do not need it. Llama 2: false.
	AttentionBias bool
	// Window is the number of last tokens, itself included, that a token attends to; 0: all. Not in the family llama. Mistral 7B v0.1: 4096.
	Window int
	// FullLayers is the number of first layers that attend to all tokens in spite of the window, in the families qwen2 and qwen3.
	FullLayers int
	// Rope scales the rotary positions. Llama 2: not at all.
	Rope RopeScaling
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

// Bounds of the sizes of a Config: the bytes of its weights fit an int64, and listing their names takes little memory, so that a
// damaged file is found out before anything large is allocated.
const (
	maxSize   = 1 << 20
	maxLayers = 1 << 12
)

// Validate reports everything that is wrong with the config at once.
func (c Config) Validate() error {
	check := setting.NewChecks("model: Config")
	for _, f := range []struct {
		name       string
		value, max int
	}{
		{"Dim", c.Dim, maxSize}, {"NumLayers", c.NumLayers, maxLayers}, {"NumHeads", c.NumHeads, maxSize}, {"NumKVHeads", c.NumKVHeads, maxSize},
		{"HeadDim", c.HeadDim, maxSize}, {"HiddenDim", c.HiddenDim, maxSize}, {"VocabSize", c.VocabSize, maxSize}, {"MaxSeqLen", c.MaxSeqLen, maxSize},
	} {
		check.That(f.value >= 1 && f.value <= f.max, f.name, f.value, fmt.Sprintf("1 to %d", f.max))
	}
	if c.NumHeads > 0 {
		check.That(c.HeadDim <= maxSize/c.NumHeads, "HeadDim", c.HeadDim, fmt.Sprintf("at most %d / NumHeads, which is %d", maxSize, c.NumHeads))
	}
	if c.NumKVHeads > 0 {
		check.That(c.NumHeads%c.NumKVHeads == 0, "NumHeads", c.NumHeads, fmt.Sprintf("a multiple of NumKVHeads, which is %d", c.NumKVHeads))
	}
	check.That(c.HeadDim%2 == 0, "HeadDim", c.HeadDim, "an even number: RoPE rotates pairs")
	check.That(c.NormEps > 0 && !math.IsInf(c.NormEps, 0), "NormEps", c.NormEps, "a positive number (Llama 2: 1e-5)")
	check.That(c.RopeTheta > 0 && !math.IsInf(c.RopeTheta, 0), "RopeTheta", c.RopeTheta, "a positive number (Llama 2: 1e4)")
	token := func(name string, id int32) {
		check.That(id >= -1 && int(id) < c.VocabSize, name, id, fmt.Sprintf("-1 (none) or an id below VocabSize, which is %d", c.VocabSize))
	}
	token("BOS", c.BOS)
	token("EOS", c.EOS)
	c.checkFamily(check)
	c.checkRope(check)
	return check.Err()
}

// NumParams is the number of weights of the language model, a scalar head not counted. Shared output weights count once.
func (c Config) NumParams() int64 {
	var n int64
	for _, w := range Llama().Weights(c) {
		if w.Part.Head {
			continue
		}
		size := int64(1)
		for _, d := range w.Shape {
			size *= int64(d)
		}
		n += size
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

// QKVDim is the width of the packed queries, keys and values: (H + 2 KV) D.
func (c Config) QKVDim() int { return (c.NumHeads + 2*c.NumKVHeads) * c.HeadDim }
