package model

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

const (
	archCausalLM   = "LlamaForCausalLM"
	archClassifier = "LlamaForSequenceClassification"
)

// hfConfig are the fields of a Hugging Face config.json that matter here. Pointers tell absent or null from zero.
type hfConfig struct {
	Architectures []string `json:"architectures"`
	ModelType     string   `json:"model_type"`

	HiddenSize   *int     `json:"hidden_size"`
	HiddenDim    *int     `json:"intermediate_size"`
	NumLayers    *int     `json:"num_hidden_layers"`
	NumHeads     *int     `json:"num_attention_heads"`
	NumKVHeads   *int     `json:"num_key_value_heads"`
	HeadDim      *int     `json:"head_dim"`
	VocabSize    *int     `json:"vocab_size"`
	MaxPositions *int     `json:"max_position_embeddings"`
	NormEps      *float64 `json:"rms_norm_eps"`
	RopeTheta    *float64 `json:"rope_theta"`
	Tie          *bool    `json:"tie_word_embeddings"`
	BOS          tokenID  `json:"bos_token_id"`
	EOS          tokenID  `json:"eos_token_id"`

	// Fields that are refused unless they hold what Llama 2 has.
	HiddenAct      *string         `json:"hidden_act"`
	AttentionBias  *bool           `json:"attention_bias"`
	MLPBias        *bool           `json:"mlp_bias"`
	RopeScaling    *ropeParameters `json:"rope_scaling"`
	RopeParameters *ropeParameters `json:"rope_parameters"` // newer writers put rope_theta here
	PartialRotary  *float64        `json:"partial_rotary_factor"`
	SlidingWindow  *int            `json:"sliding_window"`
	Dropout        *float64        `json:"attention_dropout"`
	Quantization   json.RawMessage `json:"quantization_config"`
}

type ropeParameters struct {
	RopeType  string   `json:"rope_type"`
	Type      string   `json:"type"`
	RopeTheta *float64 `json:"rope_theta"`
}

// tokenID reads an id, a list of ids (the first one) or null (-1).
type tokenID struct{ id *int32 }

func (t *tokenID) UnmarshalJSON(raw []byte) error {
	if bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		none := int32(-1)
		t.id = &none
		return nil
	}
	var one int32
	if json.Unmarshal(raw, &one) == nil {
		t.id = &one
		return nil
	}
	var list []int32
	if err := json.Unmarshal(raw, &list); err != nil || len(list) == 0 {
		return fmt.Errorf("token id is %s, want an integer, a list of integers or null", raw)
	}
	t.id = &list[0]
	return nil
}

// readHFConfig reads a config.json.
func readHFConfig(path string) (Config, []string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return Config{}, nil, fmt.Errorf("model: %w", err)
	}
	cfg, archs, err := parseHFConfig(raw)
	if err != nil {
		return Config{}, nil, fmt.Errorf("model: %s: %w", path, err)
	}
	return cfg, archs, nil
}

// parseHFConfig gives the config and the architectures. What is absent gets the default of the format.
func parseHFConfig(raw []byte) (Config, []string, error) {
	var h hfConfig
	if err := json.Unmarshal(raw, &h); err != nil {
		return Config{}, nil, err
	}
	errs := h.unsupported()
	need := func(name string, v *int) int {
		if v == nil {
			errs = append(errs, fmt.Errorf("%s is missing", name))
			return 0
		}
		return *v
	}
	c := Config{
		Dim:           need("hidden_size", h.HiddenSize),
		NumLayers:     need("num_hidden_layers", h.NumLayers),
		NumHeads:      need("num_attention_heads", h.NumHeads),
		HiddenDim:     need("intermediate_size", h.HiddenDim),
		VocabSize:     need("vocab_size", h.VocabSize),
		MaxSeqLen:     or(h.MaxPositions, 2048),
		NormEps:       or(h.NormEps, 1e-6),
		RopeTheta:     or(h.RopeTheta, 1e4),
		TieEmbeddings: or(h.Tie, false),
		BOS:           or(h.BOS.id, 1),
		EOS:           or(h.EOS.id, 2),
	}
	if h.RopeParameters != nil && h.RopeTheta == nil {
		c.RopeTheta = or(h.RopeParameters.RopeTheta, 1e4)
	}
	c.NumKVHeads = or(h.NumKVHeads, c.NumHeads)
	switch {
	case h.HeadDim != nil:
		c.HeadDim = *h.HeadDim
	case c.NumHeads > 0 && c.Dim%c.NumHeads == 0:
		c.HeadDim = c.Dim / c.NumHeads
	case c.NumHeads > 0:
		errs = append(errs, fmt.Errorf("hidden_size %d is no multiple of num_attention_heads %d, and there is no head_dim", c.Dim, c.NumHeads))
	}
	if len(errs) == 0 {
		errs = append(errs, c.Validate())
	}
	return c, h.Architectures, errors.Join(errs...)
}

// unsupported lists the settings that describe something other than Llama 2.
func (h *hfConfig) unsupported() []error {
	var errs []error
	refuse := func(bad bool, field string, got any, want string) {
		if bad {
			errs = append(errs, fmt.Errorf("%s is %v, only %s is supported", field, got, want))
		}
	}
	refuse(h.ModelType != "" && h.ModelType != "llama", "model_type", h.ModelType, "llama")
	for _, a := range h.Architectures {
		refuse(a != archCausalLM && a != archClassifier, "architectures", a, archCausalLM+" or "+archClassifier)
	}
	refuse(or(h.HiddenAct, "silu") != "silu", "hidden_act", or(h.HiddenAct, ""), "silu")
	refuse(or(h.AttentionBias, false), "attention_bias", true, "false")
	refuse(or(h.MLPBias, false), "mlp_bias", true, "false")
	refuse(or(h.PartialRotary, 1) != 1, "partial_rotary_factor", or(h.PartialRotary, 1), "1")
	refuse(h.SlidingWindow != nil, "sliding_window", or(h.SlidingWindow, 0), "null")
	refuse(or(h.Dropout, 0) != 0, "attention_dropout", or(h.Dropout, 0), "0")
	refuse(len(h.Quantization) > 0 && !bytes.Equal(h.Quantization, []byte("null")), "quantization_config", "set", "null")
	for _, r := range []struct {
		field string
		*ropeParameters
	}{{"rope_scaling", h.RopeScaling}, {"rope_parameters", h.RopeParameters}} {
		if r.ropeParameters != nil {
			kind := cmp.Or(r.RopeType, r.Type, "default")
			refuse(kind != "default", r.field, kind, "null")
		}
	}
	return errs
}

func or[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}

// encodeHFConfig writes the config.json of those weights.
func encodeHFConfig(c Config, head bool) ([]byte, error) {
	id := func(token int32) any {
		if token < 0 {
			return nil
		}
		return token
	}
	h := map[string]any{
		"architectures":           []string{archCausalLM},
		"model_type":              "llama",
		"torch_dtype":             "float32",
		"hidden_act":              "silu",
		"attention_bias":          false,
		"mlp_bias":                false,
		"rope_scaling":            nil,
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
		"tie_word_embeddings":     c.TieEmbeddings,
		"bos_token_id":            id(c.BOS),
		"eos_token_id":            id(c.EOS),
	}
	if head {
		h["architectures"] = []string{archClassifier}
		h["num_labels"] = 1
		h["id2label"] = map[string]string{"0": "score"}
		h["label2id"] = map[string]int{"score": 0}
	}
	raw, err := json.MarshalIndent(h, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("model: config.json: %w", err)
	}
	return append(raw, '\n'), nil
}
