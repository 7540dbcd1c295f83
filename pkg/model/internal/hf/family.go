package hf

import (
	"fmt"
	"slices"

	"github.com/tame-rlhf/tame/pkg/model/arch"
	"github.com/tame-rlhf/tame/pkg/model/internal/file"
)

// family is what transformers has for a family: the classes, and the defaults of the fields that differ.
type family struct {
	class    string // without ForCausalLM or ForSequenceClassification
	maxSeq   int    // max_position_embeddings
	kvHeads  int    // num_key_value_heads; 0: as many as num_attention_heads
	headDim  int    // head_dim; 0: hidden_size / num_attention_heads
	bos, eos int32
	window   int // sliding_window
}

// families are transformers' defaults: what its save_pretrained leaves out, and what people do.
var families = map[arch.Family]family{
	arch.FamilyLlama:   {class: "Llama", maxSeq: 2048, bos: 1, eos: 2},
	arch.FamilyMistral: {class: "Mistral", maxSeq: 131072, kvHeads: 8, bos: 1, eos: 2, window: 4096},
	arch.FamilyQwen2:   {class: "Qwen2", maxSeq: 32768, kvHeads: 32, bos: -1, eos: -1, window: 4096},
	arch.FamilyQwen3:   {class: "Qwen3", maxSeq: 32768, kvHeads: 32, headDim: 128, bos: -1, eos: -1, window: 4096},
}

func (f family) causalLM() string   { return f.class + "ForCausalLM" }
func (f family) classifier() string { return f.class + "ForSequenceClassification" }

// readFamily reads model_type. An error names a model of another architecture.
func (r *reader) readFamily() (arch.Family, error) {
	kind := file.Field(&r.Fields, "model_type", "llama")
	if len(r.Errs) > 0 {
		return 0, nil
	}
	var f arch.Family
	if f.UnmarshalText([]byte(kind)) == nil {
		return f, nil
	}
	of := ""
	if archs := file.Field[[]string](&r.Fields, "architectures", nil); len(archs) > 0 {
		of = " (" + file.Short(archs[0]) + ")"
	}
	return 0, fmt.Errorf("model_type is %q%s: only llama, mistral, qwen2 and qwen3 are supported", file.Short(kind), of)
}

// isClassifier reads architectures.
func (r *reader) isClassifier(f family) bool {
	archs := file.Field[[]string](&r.Fields, "architectures", nil)
	for _, a := range archs {
		if a != f.causalLM() && a != f.classifier() {
			r.Bad("architectures is %q, only %s and %s are supported for this model_type", file.Short(a), f.causalLM(), f.classifier())
		}
	}
	return slices.Contains(archs, f.classifier())
}

// absent is the default of a field that is null on purpose in some configs, where it means something else than being absent.
func (r *reader) absent(name string, def, null int) int {
	if _, there := r.Raw[name]; there {
		return null
	}
	return def
}

// window reads which layers see how much.
func (r *reader) window(c *arch.Config, f family) {
	r.Use("sliding_window", "max_window_layers") // which say nothing where windows are off
	qwen := c.Family == arch.FamilyQwen2 || c.Family == arch.FamilyQwen3
	on := !qwen || file.Field(&r.Fields, "use_sliding_window", false)
	if c.Family != arch.FamilyLlama && on { // Llama's is refused, see rules
		c.Window = file.Field(&r.Fields, "sliding_window", r.absent("sliding_window", f.window, 0))
		if c.Window == 0 && !file.IsNull(r.Raw["sliding_window"]) {
			r.Bad("sliding_window is 0, want at least 1, or null for none")
		}
	}
	if qwen && c.Window > 0 {
		c.FullLayers = min(file.Field(&r.Fields, "max_window_layers", 28), c.NumLayers)
	}
	r.layerTypes(c, qwen && c.Window > 0)
	if c.FullLayers == c.NumLayers { // no layer has it
		c.Window, c.FullLayers = 0, 0
	}
}

const (
	fullAttention   = "full_attention"
	windowAttention = "sliding_attention"
)

// layerTypes reads the kinds of the layers, which for Qwen count in place of max_window_layers. Full attention comes first.
func (r *reader) layerTypes(c *arch.Config, decides bool) {
	types := file.Field[[]string](&r.Fields, "layer_types", nil)
	if types == nil {
		return
	}
	if len(types) != c.NumLayers {
		r.Bad("layer_types has %d layers, num_hidden_layers is %d", len(types), c.NumLayers)
		return
	}
	if decides {
		if c.FullLayers = slices.Index(types, windowAttention); c.FullLayers < 0 {
			c.FullLayers = c.NumLayers
		}
	}
	for layer, kind := range types {
		want := fullAttention
		if c.LayerWindow(layer) > 0 {
			want = windowAttention
		}
		if kind == want {
			continue
		}
		why := "supported are layers of full_attention"
		if decides {
			why += ", followed by layers of sliding_attention"
		} else if c.Window > 0 {
			why = "supported is sliding_attention in all layers, as the sliding_window says"
		}
		r.Bad("layer_types has %q for layer %d: %s", file.Short(kind), layer, why)
		return
	}
}

// encodeFamily adds the fields of a family.
func encodeFamily(h map[string]any, c arch.Config) {
	window := any(nil)
	if c.Window > 0 {
		window = c.Window
	}
	switch c.Family {
	case arch.FamilyLlama:
		h["attention_bias"], h["mlp_bias"], h["pretraining_tp"] = c.AttentionBias, false, 1
	case arch.FamilyMistral:
		h["sliding_window"] = window
	case arch.FamilyQwen2, arch.FamilyQwen3:
		h["use_sliding_window"], h["sliding_window"], h["max_window_layers"] = c.Window > 0, window, c.NumLayers
		if c.Window > 0 {
			h["max_window_layers"] = c.FullLayers
		}
	}
	if c.Family == arch.FamilyQwen3 {
		h["attention_bias"] = c.AttentionBias
	}
}
