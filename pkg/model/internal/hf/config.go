package hf

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tame-rlhf/tame/pkg/model/arch"
	"github.com/tame-rlhf/tame/pkg/model/internal/file"
)

const (
	archCausalLM   = "LlamaForCausalLM"
	archClassifier = "LlamaForSequenceClassification"
)

// header is what a config.json says.
type header struct {
	arch.Config
	classifier bool    // the architecture is LlamaForSequenceClassification
	scoreBias  float64 // a field of our own: that class has no bias
}

// reader takes fields out of a config.json and keeps what is wrong with them.
type reader struct {
	fields map[string]json.RawMessage
	errs   []error
}

func (r *reader) bad(format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf(format, args...))
}

// field is a field, or what stands in for it if it is absent or null.
func field[T any](r *reader, name string, absent T) T {
	raw := r.fields[name]
	if file.IsNull(raw) {
		return absent
	}
	var v T
	if err := json.Unmarshal(raw, &v); err != nil {
		r.bad("%s is %s: %w", name, file.Short(string(raw)), err)
		return absent
	}
	return v
}

// size is a field that must be there.
func (r *reader) size(name string) int {
	if file.IsNull(r.fields[name]) {
		r.bad("%s is missing", name)
	}
	return field(r, name, 0)
}

// token reads an id, the first one of a list of ids, or null, which is none.
func (r *reader) token(name string, absent int32) int32 {
	raw, there := r.fields[name]
	if !there {
		return absent
	}
	var one int32
	if json.Unmarshal(raw, &one) == nil && !file.IsNull(raw) {
		return one
	}
	var list []int32
	if err := json.Unmarshal(raw, &list); err != nil || list != nil && len(list) == 0 {
		r.bad("%s is %s, want a token id, a list of them or null", name, file.Short(string(raw)))
	}
	if len(list) == 0 {
		return -1
	}
	return list[0]
}

// readConfig reads a config.json.
func readConfig(path string) (header, error) {
	raw, err := file.ReadSmall(path, file.MaxConfigBytes)
	if err != nil {
		return header{}, err
	}
	m, err := parseConfig(raw)
	if err != nil {
		return header{}, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// parseConfig reads a config. What is absent gets the default that transformers' LlamaConfig has; what describes something other than
// Llama 2 is refused, see rules.
func parseConfig(raw []byte) (header, error) {
	fields, err := file.Object(raw)
	if err != nil {
		return header{}, err
	}
	r := &reader{fields: fields}
	r.checkRules()
	archs := r.architectures()
	c := arch.Config{
		Dim:           r.size("hidden_size"),
		NumLayers:     r.size("num_hidden_layers"),
		NumHeads:      r.size("num_attention_heads"),
		HiddenDim:     r.size("intermediate_size"),
		VocabSize:     r.size("vocab_size"),
		MaxSeqLen:     field(r, "max_position_embeddings", 2048),
		NormEps:       field(r, "rms_norm_eps", 1e-6),
		RopeTheta:     r.ropeTheta(),
		TieEmbeddings: field(r, "tie_word_embeddings", false),
		BOS:           r.token("bos_token_id", 1),
		EOS:           r.token("eos_token_id", 2),
	}
	c.NumKVHeads = field(r, "num_key_value_heads", c.NumHeads)
	c.HeadDim = r.headDim(c)
	m := header{Config: c, classifier: slices.Contains(archs, archClassifier), scoreBias: field(r, "score_bias", 0.0)}
	if m.classifier {
		r.checkLabels()
	}
	if len(r.errs) == 0 {
		r.errs = append(r.errs, c.Validate())
	}
	return m, errors.Join(r.errs...)
}

func (r *reader) architectures() []string {
	archs := field[[]string](r, "architectures", nil)
	for _, a := range archs {
		if a != archCausalLM && a != archClassifier {
			r.bad("architectures is %q, only %s and %s are supported", file.Short(a), archCausalLM, archClassifier)
		}
	}
	return archs
}

func (r *reader) headDim(c arch.Config) int {
	if d := field(r, "head_dim", 0); !file.IsNull(r.fields["head_dim"]) || c.NumHeads < 1 {
		return d
	}
	if c.Dim%c.NumHeads != 0 {
		r.bad("hidden_size %d is no multiple of num_attention_heads %d, and there is no head_dim", c.Dim, c.NumHeads)
	}
	return c.Dim / c.NumHeads
}

// checkLabels wants one label: a reward.
func (r *reader) checkLabels() {
	const want = "a reward model has one label, and classifiers of more are not supported"
	if n := field(r, "num_labels", 1); n != 1 {
		r.bad("num_labels is %d: %s", n, want)
	}
	// Two labels are what transformers assumes where nothing is said.
	if ids := field[map[string]any](r, "id2label", nil); len(ids) > 1 {
		r.bad("id2label has %d labels: %s", len(ids), want)
	}
}

// ropeTheta is the base of the rotary frequencies. It stands in rope_theta or, since transformers 5, in rope_parameters.
func (r *reader) ropeTheta() float64 {
	theta, from := 1e4, ""
	read := func(fields map[string]json.RawMessage, of string) {
		if file.IsNull(fields["rope_theta"]) {
			return
		}
		in := &reader{fields: fields}
		v := field(in, "rope_theta", 0.0)
		for _, err := range in.errs {
			r.bad("%s%w", of, err)
		}
		if from != "" && v != theta {
			r.bad("%srope_theta is %v, but %s is %v: remove the one that is wrong", of, v, from, theta)
		}
		theta, from = v, of+"rope_theta"
	}
	read(r.fields, "")
	for _, name := range []string{"rope_parameters", "rope_scaling"} {
		if file.IsNull(r.fields[name]) {
			continue
		}
		inner, err := file.Object(r.fields[name])
		if err != nil {
			r.bad("%s: %w", name, err)
			continue
		}
		for _, rule := range ropeRules {
			r.check(inner, name+".", rule)
		}
		read(inner, name+".")
	}
	return theta
}

// encodeConfig writes the config.json of weights that are stored in that dtype. Fields that have changed their names are there under both:
// rope_theta and torch_dtype are for transformers before version 5.
func encodeConfig(m header, dtype string) ([]byte, error) {
	c := m.Config
	id := func(token int32) any {
		if token < 0 {
			return nil
		}
		return token
	}
	kind := map[string]string{file.F32: "float32", file.F16: "float16", file.BF16: "bfloat16"}[dtype]
	h := map[string]any{
		"architectures":           []string{archCausalLM},
		"model_type":              "llama",
		"dtype":                   kind,
		"torch_dtype":             kind,
		"hidden_act":              "silu",
		"attention_bias":          false,
		"attention_dropout":       0.0,
		"mlp_bias":                false,
		"pretraining_tp":          1,
		"hidden_size":             c.Dim,
		"intermediate_size":       c.HiddenDim,
		"num_hidden_layers":       c.NumLayers,
		"num_attention_heads":     c.NumHeads,
		"num_key_value_heads":     c.NumKVHeads,
		"head_dim":                c.HeadDim,
		"vocab_size":              c.VocabSize,
		"max_position_embeddings": c.MaxSeqLen,
		"rms_norm_eps":            c.NormEps,
		"rope_theta":              c.RopeTheta,
		"rope_scaling":            nil,
		"rope_parameters":         map[string]any{"rope_type": "default", "rope_theta": c.RopeTheta},
		"tie_word_embeddings":     c.TieEmbeddings,
		"bos_token_id":            id(c.BOS),
		"eos_token_id":            id(c.EOS),
	}
	if m.classifier {
		h["architectures"] = []string{archClassifier}
		h["num_labels"] = 1
		h["id2label"] = map[string]string{"0": "score"}
		h["label2id"] = map[string]int{"score": 0}
		h["pad_token_id"] = id(padFor(c))
		if bias := m.scoreBias; bias != 0 && !math.IsNaN(bias) && !math.IsInf(bias, 0) {
			h["score_bias"] = bias
		}
	}
	raw, err := json.MarshalIndent(h, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ConfigFile, err)
	}
	back, err := parseConfig(raw)
	if err == nil {
		err = file.SameConfig(c, back.Config)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ConfigFile, err)
	}
	return append(raw, '\n'), nil
}

// padFor is the id that transformers pads a reward model's batch with. It scores at the last token that is not this one, so an answer must
// not end with it: it is the first id but BOS and EOS, which is <unk> in Llama's vocabulary. Without another id it is none.
func padFor(c arch.Config) int32 {
	for id := range min(int32(c.VocabSize), 3) {
		if id != c.BOS && id != c.EOS {
			return id
		}
	}
	return -1
}

const (
	otherModel = "the weights are of another kind of model"
	scaledRope = "the model was trained with scaled rotary positions, which Llama 2 does not have"
	trainOnly  = "set it to 0: it changes nothing but training, where the paper has none"
)

// rules are the fields that are refused when they are not as in Llama 2. parseConfig and encodeConfig have the fields that a Config has.
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
