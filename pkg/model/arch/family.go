package arch

import (
	"fmt"

	"github.com/tame-rlhf/tame/internal/enum"
	"github.com/tame-rlhf/tame/pkg/setting"
)

// Family is a kind of decoder. All of them are Llamas with few changes: see its methods and the table.
type Family int

// The families, by the model_type of their config.json.
const (
	// FamilyLlama is Llama 1, 2 and 3, and what has their architecture: TinyLlama, SmolLM2, Vicuna.
	FamilyLlama Family = iota
	// FamilyMistral is a Llama whose attention may have a window (Jiang et al. 2023).
	FamilyMistral
	// FamilyQwen2 is Qwen2 and Qwen2.5: biases on queries, keys and values.
	FamilyQwen2
	// FamilyQwen3 has an RMSNorm on each head of queries and keys before their rotation.
	FamilyQwen3
)

var familyNames = []string{FamilyLlama: "llama", FamilyMistral: "mistral", FamilyQwen2: "qwen2", FamilyQwen3: "qwen3"}

// String is the model_type.
func (f Family) String() string { return enum.String("Family", f, familyNames) }

// MarshalText implements encoding.TextMarshaler.
func (f Family) MarshalText() ([]byte, error) { return enum.Marshal("family", f, familyNames) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (f *Family) UnmarshalText(text []byte) error {
	return enum.Unmarshal("family", text, f, familyNames)
}

// QKVBias says whether queries, keys and values have a bias.
func (c Config) QKVBias() bool { return c.AttentionBias || c.Family == FamilyQwen2 }

// OutputBias says whether the output of attention has a bias.
func (c Config) OutputBias() bool { return c.AttentionBias }

// QKNorm says whether each head of queries and keys is normalised before it is rotated.
func (c Config) QKNorm() bool { return c.Family == FamilyQwen3 }

// LayerWindow is the window of a layer's attention: the number of last tokens, itself included, that
// a token sees, 0 for all.
func (c Config) LayerWindow(layer int) int {
	if layer < c.FullLayers {
		return 0
	}
	return c.Window
}

// Windowed says whether a window changes anything: some layer has one, and sequences can be longer.
func (c Config) Windowed() bool {
	return c.Window > 0 && c.Window < c.MaxSeqLen && c.FullLayers < c.NumLayers
}

func (c Config) checkFamily(check *setting.Checks) {
	known := c.Family >= 0 && int(c.Family) < len(familyNames)
	check.That(known, "Family", c.Family, "llama, mistral, qwen2 or qwen3")
	qwen := c.Family == FamilyQwen2 || c.Family == FamilyQwen3
	biased := c.Family == FamilyLlama || c.Family == FamilyQwen3
	check.That(biased || !c.AttentionBias, "AttentionBias", c.AttentionBias, fmt.Sprintf("false for the family %v", c.Family))
	switch {
	case c.Family == FamilyLlama:
		check.That(c.Window == 0, "Window", c.Window, "0 for the family llama")
	default:
		check.That(c.Window >= 0 && c.Window <= maxSize, "Window", c.Window, fmt.Sprintf("1 to %d, or 0 for none", maxSize))
	}
	switch {
	case !qwen:
		check.That(c.FullLayers == 0, "FullLayers", c.FullLayers, fmt.Sprintf("0 for the family %v", c.Family))
	case c.Window == 0:
		check.That(c.FullLayers == 0, "FullLayers", c.FullLayers, "0 without a Window")
	default:
		check.That(c.FullLayers >= 0 && c.FullLayers <= c.NumLayers, "FullLayers", c.FullLayers, fmt.Sprintf("0 to NumLayers, which is %d", c.NumLayers))
	}
}
