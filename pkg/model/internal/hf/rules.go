package hf

import (
	"encoding/json"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/model/internal/file"
)

// rule is a field of config.json that changes what a model computes, and its only value that is supported. To leave another one aside
// would give a model that answers, but wrongly.
type rule struct {
	field string
	want  any    // as encoding/json gives it; nil: null, false, 0, or empty. Absent and null are always fine
	do    string // what to do about another value
}

const (
	otherModel = "the weights are of another kind of model"
	scaledRope = "the model was trained with scaled rotary positions, which Llama 2 does not have"
	trainOnly  = "set it to 0: it changes nothing but training, where the paper has none"
)

var rules = []rule{
	{"model_type", "llama", otherModel},
	{"hidden_act", "silu", otherModel},
	{"attention_bias", nil, "biases are not supported; if all of them are 0, remove them"},
	{"mlp_bias", nil, "biases are not supported; if all of them are 0, remove them"},
	{"partial_rotary_factor", 1.0, otherModel},
	{"sliding_window", nil, "if no text is longer than the window, set it to null and max_position_embeddings to the window"},
	{"attention_dropout", nil, trainOnly},
	{"hidden_dropout", nil, trainOnly},
	{"embd_pdrop", nil, trainOnly},
	{"resid_pdrop", nil, trainOnly},
	{"quantization_config", nil, "write the checkpoint again with plain float16, bfloat16 or float32 weights"},
	{"compression_config", nil, "write the checkpoint again with plain float16, bfloat16 or float32 weights"},
	{"auto_map", nil, "the model comes with code of its own; if that is the Llama of transformers, remove the field"},
	{"pruned_heads", nil, "heads of different layers must be as many"},
	{"is_encoder_decoder", nil, otherModel},
	{"add_cross_attention", nil, otherModel},
	{"cross_attention_hidden_size", nil, otherModel},
	{"num_local_experts", nil, "mixtures of experts are not supported"},
	{"num_experts", nil, "mixtures of experts are not supported"},
	{"qk_norm", nil, otherModel},
	{"use_qk_norm", nil, otherModel},
	{"qk_layernorm", nil, otherModel},
	{"clip_qkv", nil, otherModel},
	{"attn_logit_softcapping", nil, otherModel},
	{"final_logit_softcapping", nil, otherModel},
	{"attention_multiplier", nil, otherModel},
	{"embedding_multiplier", 1.0, otherModel},
	{"residual_multiplier", 1.0, otherModel},
	{"logits_scaling", 1.0, otherModel},
	{"logit_scale", 1.0, otherModel},
	{"no_rope_layers", nil, otherModel},
	{"attn_temperature_tuning", nil, otherModel},
}

// ropeRules are for the objects rope_parameters and rope_scaling.
var ropeRules = []rule{
	{"rope_type", "default", scaledRope},
	{"type", "default", scaledRope},
	{"partial_rotary_factor", 1.0, otherModel},
	{"full_attention", nil, "positions that differ from layer to layer are not supported"},
	{"sliding_attention", nil, "positions that differ from layer to layer are not supported"},
}

// checkRules refuses the fields that describe something other than Llama 2.
func (r *reader) checkRules() {
	for _, rule := range rules {
		r.check(r.fields, "", rule)
	}
	for _, kind := range field[[]string](r, "layer_types", nil) {
		if kind != "full_attention" {
			r.bad("layer_types has %q, only full_attention is supported", file.Short(kind))
			break
		}
	}
}

// check refuses another value than the rule's in an object; of is what the object's fields are called behind.
func (r *reader) check(fields map[string]json.RawMessage, of string, rule rule) {
	raw := fields[rule.field]
	var v any
	if file.IsNull(raw) || json.Unmarshal(raw, &v) == nil && (v == rule.want || rule.want == nil && isEmpty(v)) {
		return
	}
	want := "null"
	if rule.want != nil {
		want = fmt.Sprint(rule.want)
	}
	r.bad("%s%s is %s, only %s is supported: %s", of, rule.field, file.Short(string(raw)), want, rule.do)
}

// isEmpty says whether a field switches its feature off.
func isEmpty(v any) bool {
	switch v := v.(type) {
	case bool:
		return !v
	case float64:
		return v == 0
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return v == nil
}
