package hf

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/model/arch"
	"github.com/tame-rlhf/tame/pkg/model/internal/file"
)

// published are the config.json that models are published with, less what does not matter.
var published = map[string]struct {
	config string
	want   arch.Config
}{
	"Llama-3.2-1B": {
		`{"architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 128000, "eos_token_id": 128001,
		"head_dim": 64, "hidden_act": "silu", "hidden_size": 2048, "intermediate_size": 8192, "max_position_embeddings": 131072, "mlp_bias": false,
		"model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 16, "num_key_value_heads": 8, "pretraining_tp": 1,
		"rms_norm_eps": 1e-05, "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
		"original_max_position_embeddings": 8192, "rope_type": "llama3"}, "rope_theta": 500000.0, "tie_word_embeddings": true, "vocab_size": 128256}`,
		arch.Config{
			Dim: 2048, NumLayers: 16, NumHeads: 32, NumKVHeads: 8, HeadDim: 64, HiddenDim: 8192, VocabSize: 128256, MaxSeqLen: 131072,
			NormEps: 1e-5, RopeTheta: 5e5, TieEmbeddings: true, BOS: 128000, EOS: 128001,
			Rope: arch.RopeScaling{Type: arch.RopeLlama3, Factor: 32, OriginalMaxSeqLen: 8192, LowFreqFactor: 1, HighFreqFactor: 4},
		},
	},
	"Mistral-7B-v0.1": {
		`{"architectures": ["MistralForCausalLM"], "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 4096,
		"intermediate_size": 14336, "max_position_embeddings": 32768, "model_type": "mistral", "num_attention_heads": 32, "num_hidden_layers": 32,
		"num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "sliding_window": 4096, "tie_word_embeddings": false, "vocab_size": 32000}`,
		arch.Config{
			Family: arch.FamilyMistral, Dim: 4096, NumLayers: 32, NumHeads: 32, NumKVHeads: 8, HeadDim: 128, HiddenDim: 14336, VocabSize: 32000,
			MaxSeqLen: 32768, NormEps: 1e-5, RopeTheta: 1e4, Window: 4096, BOS: 1, EOS: 2,
		},
	},
	"Qwen2.5-0.5B": {
		`{"architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 151643, "eos_token_id": 151643, "hidden_act": "silu",
		"hidden_size": 896, "intermediate_size": 4864, "max_position_embeddings": 32768, "max_window_layers": 24, "model_type": "qwen2",
		"num_attention_heads": 14, "num_hidden_layers": 24, "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
		"sliding_window": 32768, "tie_word_embeddings": true, "use_mrope": false, "use_sliding_window": false, "vocab_size": 151936}`,
		arch.Config{
			Family: arch.FamilyQwen2, Dim: 896, NumLayers: 24, NumHeads: 14, NumKVHeads: 2, HeadDim: 64, HiddenDim: 4864, VocabSize: 151936,
			MaxSeqLen: 32768, NormEps: 1e-6, RopeTheta: 1e6, TieEmbeddings: true, BOS: 151643, EOS: 151643,
		},
	},
	"Qwen3-0.6B": {
		`{"architectures": ["Qwen3ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 151643, "eos_token_id": 151645,
		"head_dim": 128, "hidden_act": "silu", "hidden_size": 1024, "intermediate_size": 3072, "max_position_embeddings": 40960,
		"max_window_layers": 28, "model_type": "qwen3", "num_attention_heads": 16, "num_hidden_layers": 28, "num_key_value_heads": 8,
		"rms_norm_eps": 1e-06, "rope_scaling": null, "rope_theta": 1000000, "sliding_window": null, "tie_word_embeddings": true,
		"use_sliding_window": false, "vocab_size": 151936}`,
		arch.Config{
			Family: arch.FamilyQwen3, Dim: 1024, NumLayers: 28, NumHeads: 16, NumKVHeads: 8, HeadDim: 128, HiddenDim: 3072, VocabSize: 151936,
			MaxSeqLen: 40960, NormEps: 1e-6, RopeTheta: 1e6, TieEmbeddings: true, BOS: 151643, EOS: 151645,
		},
	},
}

func TestPublishedConfigs(t *testing.T) {
	for name, c := range published {
		m, err := parseConfig([]byte(c.config))
		require.NoError(t, err, name)
		assert.Equal(t, header{Config: c.want}, m, name)
		for _, m.classifier = range []bool{false, true} {
			raw, err := encodeConfig(m, file.BF16)
			require.NoError(t, err, name)
			got, err := parseConfig(raw)
			require.NoError(t, err, name)
			assert.Equal(t, m, got, name)
			class := map[bool]string{false: "ForCausalLM", true: "ForSequenceClassification"}[m.classifier]
			family := strings.ToUpper(c.want.Family.String()[:1]) + c.want.Family.String()[1:]
			assert.Contains(t, string(raw), `"`+family+class+`"`)
			assert.Contains(t, string(raw), `"model_type": "`+c.want.Family.String()+`"`)
		}
	}
}

// parseWith reads a published config with other fields; nil removes a field.
func parseWith(t *testing.T, name string, change map[string]any) (header, error) {
	t.Helper()
	var fields map[string]any
	require.NoError(t, json.Unmarshal([]byte(published[name].config), &fields))
	maps.Copy(fields, change)
	maps.DeleteFunc(fields, func(_ string, v any) bool { return v == nil })
	raw, err := json.Marshal(fields)
	require.NoError(t, err)
	return parseConfig(raw)
}

// What is absent is what transformers takes then.
func TestDefaultsOfFamilies(t *testing.T) {
	absent := map[string]any{
		"max_position_embeddings": nil, "num_key_value_heads": nil, "bos_token_id": nil, "eos_token_id": nil, "rms_norm_eps": nil,
		"head_dim": nil, "sliding_window": nil, "rope_theta": nil, "tie_word_embeddings": nil, "use_sliding_window": nil,
		"num_attention_heads": 32, "hidden_size": 2048,
	}
	for name, want := range map[string]func(*arch.Config){
		"Llama-3.2-1B": func(c *arch.Config) {
			c.MaxSeqLen, c.NumKVHeads, c.HeadDim, c.BOS, c.EOS = 2048, 32, 64, 1, 2
			c.Rope = arch.RopeScaling{}
		},
		"Mistral-7B-v0.1": func(c *arch.Config) {
			c.MaxSeqLen, c.NumKVHeads, c.HeadDim, c.BOS, c.EOS, c.Window = 131072, 8, 64, 1, 2, 4096
		},
		"Qwen2.5-0.5B": func(c *arch.Config) { c.MaxSeqLen, c.NumKVHeads, c.HeadDim, c.BOS, c.EOS = 32768, 32, 64, -1, -1 },
		"Qwen3-0.6B":   func(c *arch.Config) { c.MaxSeqLen, c.NumKVHeads, c.HeadDim, c.BOS, c.EOS = 32768, 32, 128, -1, -1 },
	} {
		absent["rope_scaling"] = nil
		m, err := parseWith(t, name, absent)
		require.NoError(t, err, name)
		c := published[name].want
		c.Dim, c.NumHeads, c.NormEps, c.RopeTheta, c.TieEmbeddings = 2048, 32, 1e-6, 1e4, false
		want(&c)
		assert.Equal(t, c, m.Config, name)
	}
}

func TestWindows(t *testing.T) {
	layers := func(full, windowed int) []any {
		var list []any
		for range full {
			list = append(list, "full_attention")
		}
		for range windowed {
			list = append(list, "sliding_attention")
		}
		return list
	}
	window := func(n, full int) func(*arch.Config) {
		return func(c *arch.Config) { c.Window, c.FullLayers = n, full }
	}
	on := map[string]any{"use_sliding_window": true, "sliding_window": 99, "max_window_layers": 20}
	with := func(more map[string]any) map[string]any {
		all := maps.Clone(on)
		maps.Copy(all, more)
		return all
	}
	for _, c := range []struct {
		name   string
		change map[string]any
		want   func(*arch.Config)
	}{
		{"Mistral-7B-v0.1", map[string]any{"sliding_window": json.RawMessage("null")}, window(0, 0)}, // v0.2 and later
		{"Mistral-7B-v0.1", map[string]any{"sliding_window": nil}, window(4096, 0)},                  // absent
		{"Mistral-7B-v0.1", map[string]any{"layer_types": layers(0, 32)}, window(4096, 0)},
		{"Qwen2.5-0.5B", map[string]any{"layer_types": layers(24, 0)}, window(0, 0)},
		{"Qwen2.5-0.5B", on, window(99, 20)},
		{"Qwen2.5-0.5B", with(map[string]any{"max_window_layers": 0}), window(99, 0)},
		{"Qwen2.5-0.5B", with(map[string]any{"max_window_layers": 24}), window(0, 0)},
		{"Qwen2.5-0.5B", with(map[string]any{"max_window_layers": nil}), window(0, 0)}, // 28
		{"Qwen3-0.6B", with(map[string]any{"layer_types": layers(3, 25)}), window(99, 3)},
		{"Qwen3-0.6B", with(map[string]any{"layer_types": layers(28, 0)}), window(0, 0)},
		{"Qwen3-0.6B", with(map[string]any{"use_sliding_window": false}), window(0, 0)},
	} {
		m, err := parseWith(t, c.name, c.change)
		require.NoError(t, err, "%s %v", c.name, c.change)
		want := published[c.name].want
		c.want(&want)
		assert.Equal(t, want, m.Config, "%s %v", c.name, c.change)
		raw, err := encodeConfig(m, file.F32)
		require.NoError(t, err)
		back, err := parseConfig(raw)
		require.NoError(t, err)
		assert.Equal(t, m, back)
	}
	mixed := append(layers(3, 24), "full_attention")
	for want, c := range map[string]struct {
		name   string
		change map[string]any
	}{
		"sliding_window is 0, want at least 1, or null for none": {"Mistral-7B-v0.1", map[string]any{"sliding_window": 0}},
		"Window is -3": {"Mistral-7B-v0.1", map[string]any{"sliding_window": -3}},
		`layer_types has "full_attention" for layer 0: supported is sliding`: {"Mistral-7B-v0.1", map[string]any{"layer_types": layers(32, 0)}},
		`layer_types has "full_attention" for layer 27`:                      {"Qwen3-0.6B", with(map[string]any{"layer_types": mixed})},
		`layer_types has "sliding_attention" for layer 27`:                   {"Qwen3-0.6B", map[string]any{"layer_types": layers(27, 1)}},
		"sliding_window is 7, only null is supported: transformers ignores":  {"Llama-3.2-1B", map[string]any{"sliding_window": 7}},
		"attention_bias is true, only null is supported":                     {"Qwen2.5-0.5B", map[string]any{"attention_bias": true}},
		"use_mrope is true": {"Qwen2.5-0.5B", map[string]any{"use_mrope": true}},
	} {
		_, err := parseWith(t, c.name, c.change)
		assert.ErrorContains(t, err, want)
	}
}

func TestRopeScalings(t *testing.T) {
	yarn := arch.RopeScaling{
		Type: arch.RopeYaRN, Factor: 4, OriginalMaxSeqLen: 32768, BetaFast: 32, BetaSlow: 1, AttentionFactor: arch.YaRNScale(4, 1), Truncate: true,
	}
	changed := func(change func(*arch.RopeScaling)) arch.RopeScaling {
		s := yarn
		change(&s)
		return s
	}
	for scaling, want := range map[string]arch.RopeScaling{
		`{"type": "linear", "factor": 2}`:                          {Type: arch.RopeLinear, Factor: 2},
		`{"rope_type": "linear", "type": "linear", "factor": 2.5}`: {Type: arch.RopeLinear, Factor: 2.5},
		`{"type": "dynamic", "factor": 2, "beta_fast": null}`:      {Type: arch.RopeDynamic, Factor: 2},
		`{"type": "yarn", "factor": 4}`:                            yarn,
		`{"type": "yarn", "factor": 4, "beta_fast": 0}`:            yarn,
		`{"rope_type": "yarn", "factor": 4, "original_max_position_embeddings": 99, "beta_fast": 16, "beta_slow": 2, "attention_factor": 1.5,
		"truncate": false}`: {
			Type: arch.RopeYaRN, Factor: 4, OriginalMaxSeqLen: 99, BetaFast: 16, BetaSlow: 2, AttentionFactor: 1.5,
		},
		`{"rope_type": "yarn", "factor": 4, "mscale": 0.7}`: yarn, // mscale_all_dim is missing
		`{"rope_type": "yarn", "factor": 4, "mscale": 0.7, "mscale_all_dim": 2}`: changed(func(s *arch.RopeScaling) {
			s.AttentionFactor = arch.YaRNScale(4, 0.7) / arch.YaRNScale(4, 2)
		}),
	} {
		for _, object := range []string{"rope_scaling", "rope_parameters"} {
			m, err := parseWith(t, "Qwen2.5-0.5B", map[string]any{object: json.RawMessage(scaling)})
			require.NoError(t, err, scaling)
			assert.Equal(t, want, m.Rope, scaling)
			assert.Equal(t, 1e6, m.RopeTheta)
			raw, err := encodeConfig(m, file.F32)
			require.NoError(t, err)
			back, err := parseConfig(raw)
			require.NoError(t, err)
			assert.Equal(t, m, back)
		}
	}
	outside := map[string]any{"original_max_position_embeddings": 77, "rope_scaling": json.RawMessage(`{"type": "yarn", "factor": 4}`)}
	m, err := parseWith(t, "Qwen2.5-0.5B", outside)
	require.NoError(t, err)
	assert.Equal(t, changed(func(s *arch.RopeScaling) { s.OriginalMaxSeqLen = 77 }), m.Rope)

	for want, scaling := range map[string]string{
		`rope_scaling.rope_type is "su", only default, linear, dynamic, yarn and llama3`:        `{"type": "su"}`,
		`rope_scaling.rope_type is "linear", but its type is "yarn"`:                            `{"type": "yarn", "rope_type": "linear", "factor": 2}`,
		"rope_scaling.factor is missing":                                                        `{"type": "linear"}`,
		"Rope.Factor is -1":                                                                     `{"type": "linear", "factor": -1}`,
		"Rope.Factor is 0":                                                                      `{"type": "linear", "factor": 0}`,
		"rope_scaling.factor is 2, which rotary positions of type default":                      `{"factor": 2}`,
		"rope_scaling.low_freq_factor is 1, which rotary":                                       `{"type": "yarn", "factor": 2, "low_freq_factor": 1}`,
		"rope_scaling.long_factor is [1], which rotary":                                         `{"type": "dynamic", "factor": 2, "long_factor": [1]}`,
		"rope_scaling.original_max_position_embeddings is 9, which":                             `{"type": "dynamic", "factor": 2, "original_max_position_embeddings": 9}`,
		"Rope.HighFreqFactor is 1, want more than":                                              `{"type": "llama3", "factor": 2, "low_freq_factor": 1, "high_freq_factor": 1}`,
		"Rope.BetaFast is 1, want more than":                                                    `{"type": "yarn", "factor": 2, "beta_fast": 1}`,
		"Rope.AttentionFactor is -1":                                                            `{"type": "yarn", "factor": 2, "attention_factor": -1}`,
		"rope_scaling.truncate is 1":                                                            `{"type": "yarn", "factor": 2, "truncate": 1}`,
		"rope_scaling.full_attention is":                                                        `{"full_attention": {"rope_type": "default"}}`,
		"rope_scaling.partial_rotary_factor is 0.5":                                             `{"type": "linear", "factor": 2, "partial_rotary_factor": 0.5}`,
		"rope_scaling.original_max_position_embeddings is 9, but outside of the object it is 8": `{"type": "yarn", "factor": 2, "original_max_position_embeddings": 9}`,
	} {
		change := map[string]any{"rope_scaling": json.RawMessage(scaling)}
		if strings.Contains(want, "outside") {
			change["original_max_position_embeddings"] = 8
		}
		_, err := parseWith(t, "Qwen2.5-0.5B", change)
		assert.ErrorContains(t, err, want)
	}
	_, err = parseWith(t, "Qwen2.5-0.5B", map[string]any{
		"rope_scaling": json.RawMessage(`{"type": "linear", "factor": 2}`), "rope_parameters": json.RawMessage(`{"type": "linear", "factor": 3}`),
	})
	assert.ErrorContains(t, err, "rope_scaling and rope_parameters differ")
}

func FuzzRope(f *testing.F) {
	f.Add(`{"type": "yarn", "factor": 4, "mscale": 1e308, "mscale_all_dim": 1}`)
	f.Add(`{"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 64}`)
	f.Fuzz(func(t *testing.T, scaling string) {
		config := strings.Replace(published["Qwen2.5-0.5B"].config, "{", fmt.Sprintf(`{"rope_scaling": %s,`, scaling), 1)
		if m, err := parseConfig([]byte(config)); err == nil {
			require.NoError(t, m.Validate())
			raw, err := encodeConfig(m, file.F32)
			require.NoError(t, err)
			back, err := parseConfig(raw)
			require.NoError(t, err)
			require.Equal(t, m, back)
		}
	})
}
