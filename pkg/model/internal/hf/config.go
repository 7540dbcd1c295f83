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

// header is what a config.json says.
type header struct {
	arch.Config
	classifier bool    // the architecture is a ...ForSequenceClassification
	scoreBias  float64 // a field of our own: that class has no bias
	ends       []int32 // ids besides EOS that end an answer
	mean, std  float64 // of a reward model of OpenRLHF, whose score is (x - mean) / std; std 0: the score is x
}

// reader takes fields out of a config.json and keeps what is wrong with them.
type reader struct{ file.Fields }

// tokens reads a list of ids, one id, or null, which is none (-1).
func (r *reader) tokens(name string, absent int32) []int32 {
	r.Use(name)
	raw, there := r.Raw[name]
	if !there {
		return []int32{absent}
	}
	var one int32
	if json.Unmarshal(raw, &one) == nil && !file.IsNull(raw) {
		return []int32{one}
	}
	var list []int32
	if err := json.Unmarshal(raw, &list); err != nil || list != nil && len(list) == 0 {
		r.Bad("%s is %s, want a token id, a list of them or null", name, file.Short(string(raw)))
	}
	if len(list) == 0 {
		return []int32{-1}
	}
	return list
}

// setEnds takes the ids that end an answer. EOS stays if it is one of them, and is the first of them otherwise. All of them have to be
// in the vocabulary.
func (m *header) setEnds(ids []int32) error {
	if !slices.Contains(ids, m.EOS) {
		m.EOS = ids[0]
	}
	m.ends = nil
	for _, id := range ids {
		if id < 0 && len(ids) > 1 || int(id) >= m.VocabSize {
			return fmt.Errorf("eos_token_id has %d, and the model has the ids 0 to %d: correct the list", id, m.VocabSize-1)
		}
		if id != m.EOS && !slices.Contains(m.ends, id) {
			m.ends = append(m.ends, id)
		}
	}
	return nil
}

// parseConfig reads a config. What is absent gets the default that transformers has for the family; what describes something that is not
// computed here is refused, see rules.
func parseConfig(raw []byte) (header, error) {
	fields, err := file.Object(raw)
	if err != nil {
		return header{}, err
	}
	return (&reader{file.Fields{Raw: fields}}).header()
}

func (r *reader) header() (header, error) {
	kind, err := r.readFamily()
	if err != nil {
		return header{}, err // and what else differs follows from it
	}
	f := families[kind]
	r.check(r.Raw, "", rules)
	r.check(r.Raw, "", rulesOf[kind])
	c := arch.Config{
		Family:        kind,
		Dim:           r.Size("hidden_size"),
		NumLayers:     r.Size("num_hidden_layers"),
		NumHeads:      r.Size("num_attention_heads"),
		HiddenDim:     r.Size("intermediate_size"),
		VocabSize:     r.Size("vocab_size"),
		MaxSeqLen:     file.Field(&r.Fields, "max_position_embeddings", f.maxSeq),
		NormEps:       file.Field(&r.Fields, "rms_norm_eps", 1e-6),
		TieEmbeddings: file.Field(&r.Fields, "tie_word_embeddings", false),
		BOS:           r.tokens("bos_token_id", f.bos)[0],
	}
	if kind == arch.FamilyLlama || kind == arch.FamilyQwen3 {
		c.AttentionBias = file.Field(&r.Fields, "attention_bias", false)
	}
	r.rope(&c)
	r.window(&c, f)
	ends := r.tokens("eos_token_id", f.eos)
	c.EOS = ends[0]
	c.NumKVHeads = file.Field(&r.Fields, "num_key_value_heads", r.absent("num_key_value_heads", f.kvHeads, 0))
	if file.IsNull(r.Raw["num_key_value_heads"]) && c.NumKVHeads == 0 {
		c.NumKVHeads = c.NumHeads
	}
	c.HeadDim = r.headDim(c, f)
	m := header{Config: c, classifier: r.isClassifier(f), scoreBias: file.Field(&r.Fields, "score_bias", 0.0)}
	if m.classifier {
		r.checkLabels()
	}
	if file.Field(&r.Fields, "normalize_reward", false) {
		m.mean, m.std = file.Field(&r.Fields, "mean", 0.0), file.Field(&r.Fields, "std", 0.0)
		if m.std <= 0 {
			r.Bad("normalize_reward is true, and std is %v: want the positive number that scores are divided by, or normalize_reward false", m.std)
		}
	}
	if len(r.Errs) == 0 {
		r.Errs = append(r.Errs, c.Validate(), m.setEnds(ends))
	}
	return m, errors.Join(r.Errs...)
}

func (r *reader) headDim(c arch.Config, f family) int {
	if d := file.Field(&r.Fields, "head_dim", r.absent("head_dim", f.headDim, 0)); d != 0 || !file.IsNull(r.Raw["head_dim"]) || c.NumHeads < 1 {
		return d
	}
	if c.Dim%c.NumHeads != 0 {
		r.Bad("hidden_size %d is no multiple of num_attention_heads %d, and there is no head_dim", c.Dim, c.NumHeads)
	}
	return c.Dim / c.NumHeads
}

// checkLabels wants one label: a reward.
func (r *reader) checkLabels() {
	const want = "a reward model has one label, and classifiers of more are not supported"
	if n := file.Field(&r.Fields, "num_labels", 1); n != 1 {
		r.Bad("num_labels is %d: %s", n, want)
	}
	// Two labels are what transformers assumes where nothing is said.
	if ids := file.Field[map[string]any](&r.Fields, "id2label", nil); len(ids) > 1 {
		r.Bad("id2label has %d labels: %s", len(ids), want)
	}
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
	eos := id(c.EOS)
	if len(m.ends) > 0 {
		eos = append([]int32{c.EOS}, m.ends...)
	}
	kind := map[string]string{file.F32: "float32", file.F16: "float16", file.BF16: "bfloat16"}[dtype]
	h := map[string]any{
		"architectures":           []string{families[c.Family].causalLM()},
		"model_type":              c.Family.String(),
		"dtype":                   kind,
		"torch_dtype":             kind,
		"hidden_act":              "silu",
		"attention_dropout":       0.0,
		"hidden_size":             c.Dim,
		"intermediate_size":       c.HiddenDim,
		"num_hidden_layers":       c.NumLayers,
		"num_attention_heads":     c.NumHeads,
		"num_key_value_heads":     c.NumKVHeads,
		"head_dim":                c.HeadDim,
		"vocab_size":              c.VocabSize,
		"max_position_embeddings": c.MaxSeqLen,
		"rms_norm_eps":            c.NormEps,
		"tie_word_embeddings":     c.TieEmbeddings,
		"bos_token_id":            id(c.BOS),
		"eos_token_id":            eos,
	}
	encodeFamily(h, c)
	encodeRope(h, c)
	if m.classifier {
		h["architectures"] = []string{families[c.Family].classifier()}
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
	otherModel = "the model has no such feature here, and the weights were trained with it"
	biases     = "these biases are not supported; if all of them are 0, remove them"
	trainOnly  = "set it to 0: it changes nothing but training, where the paper has none"
)

// rules are the fields that are refused when they are not as in Llama 2, in all families. parseConfig and encodeConfig have the fields that a Config has.
var rules = []rule{
	{[]string{"hidden_act"}, "silu", otherModel},
	{[]string{"mlp_bias"}, nil, biases},
	{[]string{"partial_rotary_factor"}, 1.0, otherModel},
	{[]string{"attention_dropout", "hidden_dropout", "embd_pdrop", "resid_pdrop"}, nil, trainOnly},
	{[]string{"quantization_config", "compression_config"}, nil, "write the checkpoint again with plain float16, bfloat16 or float32 weights"},
	{[]string{"auto_map"}, nil, "the model comes with code of its own; if that is the Llama of transformers, remove the field"},
	{[]string{"pruned_heads"}, nil, "heads of different layers must be as many"},
	{[]string{"is_encoder_decoder", "add_cross_attention", "cross_attention_hidden_size"}, nil, otherModel},
	{[]string{"num_local_experts", "num_experts"}, nil, "mixtures of experts are not supported"},
	{[]string{"qk_norm", "use_qk_norm", "qk_layernorm", "clip_qkv"}, nil, otherModel},
	{[]string{"attn_logit_softcapping", "final_logit_softcapping", "attention_multiplier"}, nil, otherModel},
	{[]string{"embedding_multiplier", "residual_multiplier", "logits_scaling", "logit_scale"}, 1.0, otherModel},
	{[]string{"no_rope_layers", "attn_temperature_tuning", "use_mrope"}, nil, otherModel},
}

// rulesOf are the fields of a family that others have and it has not.
var rulesOf = map[arch.Family][]rule{
	arch.FamilyLlama: {
		{[]string{"sliding_window"}, nil, "transformers ignores it for this model_type; if the model was trained with the window, it is a mistral"},
	},
	arch.FamilyMistral: {{[]string{"attention_bias"}, nil, biases}},
	arch.FamilyQwen2:   {{[]string{"attention_bias"}, nil, biases}},
}

// ropeRules are for the objects rope_parameters and rope_scaling.
var ropeRules = []rule{
	{[]string{"partial_rotary_factor"}, 1.0, otherModel},
	{[]string{"full_attention", "sliding_attention"}, nil, "positions that differ from layer to layer are not supported"},
}
