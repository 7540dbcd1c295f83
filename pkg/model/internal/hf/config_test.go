package hf

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/model/arch"
	"github.com/tame-rlhf/tame/pkg/model/internal/file"
)

// llama7B is the config.json that Llama 2 7B is published with, less what does not matter.
const llama7B = `{
  "_name_or_path": "meta-llama/Llama-2-7b-hf", "architectures": ["LlamaForCausalLM"], "bos_token_id": 1, "eos_token_id": 2,
  "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02, "intermediate_size": 11008,
  "max_position_embeddings": 4096, "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 32,
  "num_key_value_heads": 32, "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": null,
  "tie_word_embeddings": false, "torch_dtype": "float16", "use_cache": true, "vocab_size": 32000}`

func tiny() arch.Config {
	return arch.Config{
		Dim: 24, NumLayers: 2, NumHeads: 4, NumKVHeads: 2, HeadDim: 6, HiddenDim: 20, VocabSize: 31, MaxSeqLen: 160,
		NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}
}

func TestHFConfigOfLlama2(t *testing.T) {
	m, err := parseConfig([]byte(llama7B))
	require.NoError(t, err)
	assert.Equal(t, header{Config: arch.Llama2_7B()}, m)
}

func TestHFConfigRoundTrip(t *testing.T) {
	for name, change := range map[string]func(*arch.Config){
		"gqa":           func(*arch.Config) {},
		"mha":           func(c *arch.Config) { c.NumKVHeads = 4 },
		"tied":          func(c *arch.Config) { c.TieEmbeddings = true },
		"head width 12": func(c *arch.Config) { c.HeadDim, c.NumHeads = 12, 2 },
		"head width 2":  func(c *arch.Config) { c.HeadDim, c.NumHeads, c.NumKVHeads = 2, 6, 3 },
		"one token":     func(c *arch.Config) { c.VocabSize, c.BOS = 1, -1 },
	} {
		c := tiny()
		change(&c)
		c.RopeTheta, c.NormEps, c.EOS = 123456.75, 3e-6, -1
		raw, err := encodeConfig(header{Config: c}, file.F32)
		require.NoError(t, err)
		got, err := parseConfig(raw)
		require.NoError(t, err, name)
		assert.Equal(t, header{Config: c}, got, name)
	}
}

// Other readers need what we do not read ourselves.
func TestHFConfigForOthers(t *testing.T) {
	fields := func(m header, dtype string) (out map[string]any) {
		raw, err := encodeConfig(m, dtype)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(raw, &out))
		return out
	}
	m := header{Config: tiny()}
	h := fields(m, file.BF16)
	assert.Equal(t, []any{"LlamaForCausalLM"}, h["architectures"])
	assert.Equal(t, "bfloat16", h["dtype"])
	assert.Equal(t, "bfloat16", h["torch_dtype"], "transformers 4")
	assert.Equal(t, 1e4, h["rope_theta"], "transformers 4")
	assert.Equal(t, map[string]any{"rope_type": "default", "rope_theta": 1e4}, h["rope_parameters"], "transformers 5")
	assert.NotContains(t, h, "pad_token_id")

	m.classifier = true
	h = fields(m, file.F32)
	assert.Equal(t, []any{"LlamaForSequenceClassification"}, h["architectures"])
	assert.Equal(t, 1.0, h["num_labels"])
	assert.Len(t, h["id2label"], 1, "other readers count the labels here")
	assert.Equal(t, 0.0, h["pad_token_id"], "not EOS: the score is read there")
	assert.NotContains(t, h, "score_bias")
	m.scoreBias = 0.5
	assert.Equal(t, 0.5, fields(m, file.F32)["score_bias"])
	m.scoreBias = math.NaN()
	assert.NotContains(t, fields(m, file.F32), "score_bias", "JSON has no NaN")

	assert.Equal(t, float64(float32(0.1)), rounded(0.1, file.F32))
	assert.Equal(t, 205.0/2048, rounded(0.1, file.BF16), "as the file has it")
}

func TestPadFor(t *testing.T) {
	for _, c := range []struct{ bos, eos, want int32 }{{1, 2, 0}, {0, 1, 2}, {2, 0, 1}, {-1, -1, 0}, {0, 0, 1}} {
		assert.Equal(t, c.want, padFor(arch.Config{VocabSize: 9, BOS: c.bos, EOS: c.eos}))
	}
	assert.EqualValues(t, -1, padFor(arch.Config{VocabSize: 2, BOS: 0, EOS: 1}))
}

func TestHFConfigVariants(t *testing.T) {
	for _, c := range []struct {
		field string
		value any
		want  func(*arch.Config)
	}{
		{"num_key_value_heads", nil, nil},
		{"head_dim", 64, func(c *arch.Config) { c.HeadDim = 64 }},
		{"head_dim", nil, nil},
		{"eos_token_id", []int{7, 8}, func(c *arch.Config) { c.EOS = 7 }},
		{"bos_token_id", nil, func(c *arch.Config) { c.BOS = -1 }},
		{"rope_theta", 5e5, func(c *arch.Config) { c.RopeTheta = 5e5 }},
		{"rope_theta", nil, nil},
		{"rope_parameters", map[string]any{"rope_type": "default", "rope_theta": 2e4}, func(c *arch.Config) { c.RopeTheta = 2e4 }},
		{"rope_parameters", map[string]any{"partial_rotary_factor": 1}, nil},
		{"rope_scaling", map[string]any{"type": "default"}, nil},
		{"rms_norm_eps", nil, func(c *arch.Config) { c.NormEps = 1e-6 }},
		{"attention_dropout", 0.0, nil},
		{"max_position_embeddings", nil, func(c *arch.Config) { c.MaxSeqLen = 2048 }},
		{"tie_word_embeddings", true, func(c *arch.Config) { c.TieEmbeddings = true }},
		{"architectures", nil, nil},
		// What changes nothing.
		{"pretraining_tp", 2, nil},
		{"torch_dtype", "bfloat16", nil},
		{"use_cache", false, nil},
		{"num_labels", 7, nil}, // no classifier
		{"layer_types", slices.Repeat([]string{"full_attention"}, 32), nil},
		{"attention_bias", true, func(c *arch.Config) { c.AttentionBias = true }},
		{"rope_scaling", map[string]any{"type": "linear", "factor": 2.0}, func(c *arch.Config) { c.Rope = arch.RopeScaling{Type: arch.RopeLinear, Factor: 2} }},
		{"logits_scaling", 1, nil},
		{"auto_map", map[string]any{}, nil},
		{"pad_token_id", -1, nil},
		{"HIDDEN_SIZE", 1, nil},
		{"of_a_later_version", []any{1, "x"}, nil},
	} {
		want := arch.Llama2_7B()
		if c.want != nil {
			c.want(&want)
		}
		got, err := parseConfig(withField(t, c.field, c.value))
		require.NoError(t, err, c.field)
		var ends []int32
		if c.field == "eos_token_id" {
			ends = []int32{8}
		}
		assert.Equal(t, header{Config: want, ends: ends}, got, c.field)
	}
}

func withField(t *testing.T, field string, value any) []byte {
	t.Helper()
	var fields map[string]any
	require.NoError(t, json.Unmarshal([]byte(llama7B), &fields))
	fields[field] = value
	raw, err := json.Marshal(fields)
	require.NoError(t, err)
	return raw
}

func TestHFConfigRefuses(t *testing.T) {
	for _, c := range []struct {
		field string
		value any
		want  string
	}{
		{"model_type", "gpt2", `model_type is "gpt2" (LlamaForCausalLM): only llama, mistral, qwen2 and qwen3 are supported`},
		{"model_type", "mistral", `architectures is "LlamaForCausalLM", only MistralForCausalLM and MistralForSequenceClassification`},
		{"model_type", 7, "model_type is 7, want a text"},
		{"architectures", []string{"LlamaForQuestionAnswering"}, `architectures is "LlamaForQuestionAnswering"`},
		{"architectures", "LlamaForCausalLM", "architectures is"},
		{"hidden_act", "gelu", `hidden_act is "gelu", only silu`},
		{"hidden_act", "", "hidden_act is"},
		{"attention_bias", "yes", "attention_bias is"},
		{"mlp_bias", true, "mlp_bias is true"},
		{"rope_scaling", map[string]any{"type": "longrope", "factor": 2.0}, `rope_scaling.rope_type is "longrope", only default, linear`},
		{"rope_scaling", map[string]any{"rope_type": "yarn"}, "rope_scaling.factor is missing"},
		{"rope_scaling", "linear", "rope_scaling: not a JSON object"},
		{"rope_parameters", map[string]any{"rope_type": "llama3", "factor": 8}, "rope_parameters.low_freq_factor is missing"},
		{"rope_parameters", map[string]any{"rope_theta": "1"}, "rope_parameters.rope_theta is"},
		{"rope_parameters", map[string]any{"partial_rotary_factor": 0.5}, "rope_parameters.partial_rotary_factor is 0.5, only 1"},
		{"rope_parameters", map[string]any{"full_attention": map[string]any{"rope_theta": 1e4}}, "rope_parameters.full_attention"},
		{"rope_theta", 0, "RopeTheta is 0"},
		{"rope_theta", "x", "rope_theta is"},
		{"partial_rotary_factor", 0.5, "partial_rotary_factor is 0.5"},
		{"partial_rotary_factor", 0, "partial_rotary_factor is 0"},
		{"sliding_window", 4096, "sliding_window is 4096"},
		{"attention_dropout", 0.1, "attention_dropout is 0.1"},
		{"quantization_config", map[string]any{"bits": 4}, "quantization_config is"},
		{"auto_map", map[string]any{"AutoModel": "x.Y"}, "auto_map is"},
		{"pruned_heads", map[string]any{"1": []int{0}}, "pruned_heads is"},
		{"num_local_experts", 8, "num_local_experts is 8"},
		{"logits_scaling", 8, "logits_scaling is 8, only 1"},
		{"layer_types", append(slices.Repeat([]string{"full_attention"}, 31), "sliding_attention"), `layer_types has "sliding_attention" for layer 31`},
		{"layer_types", []string{"full_attention"}, "layer_types has 1 layers, num_hidden_layers is 32"},
		{"hidden_size", nil, "hidden_size is missing"},
		{"hidden_size", 4096.5, "hidden_size is 4096.5"},
		{"num_hidden_layers", -1, "NumLayers is -1"},
		{"num_attention_heads", 33, "no multiple of num_attention_heads 33"},
		{"num_attention_heads", 0, "NumHeads is 0"},
		{"num_key_value_heads", 3, "NumKVHeads, which is 3"},
		{"head_dim", 7, "HeadDim is 7"},
		{"head_dim", 0, "HeadDim is 0"},
		{"eos_token_id", "two", "eos_token_id is"},
		{"eos_token_id", []int{}, "eos_token_id is []"},
		{"eos_token_id", 32000, "EOS is 32000"},
		{"vocab_size", 1 << 40, "VocabSize"},
		{"rms_norm_eps", -1, "NormEps"},
		{"tie_word_embeddings", "no", "tie_word_embeddings is"},
	} {
		_, err := parseConfig(withField(t, c.field, c.value))
		assert.ErrorContains(t, err, c.want)
	}
	_, err := parseConfig([]byte(`{"hidden_act": "gelu", "mlp_bias": true}`))
	assert.ErrorContains(t, err, "hidden_act")
	assert.ErrorContains(t, err, "mlp_bias", "all problems at once")
	assert.ErrorContains(t, err, "vocab_size is missing")
	for want, raw := range map[string]string{
		"not a JSON object": `[1]`, "no JSON: it ends too early": `{"a": 1`, `"a" is there twice`: `{"a": 1, "a": 1}`, "goes on after": `{} 1`, "exceeded max depth": `{"a": ` + strings.Repeat("[", 20000) + `}`,
	} {
		_, err := parseConfig([]byte(raw))
		assert.ErrorContains(t, err, want)
	}
}

func TestHFConfigRopeThetaTwice(t *testing.T) {
	both := func(a, b float64) []byte {
		raw := withField(t, "rope_parameters", map[string]any{"rope_theta": b})
		return bytes.Replace(raw, []byte(`{`), fmt.Appendf(nil, `{"rope_theta": %v,`, a), 1)
	}
	m, err := parseConfig(both(5e5, 5e5))
	require.NoError(t, err)
	assert.Equal(t, 5e5, m.RopeTheta)
	_, err = parseConfig(both(5e5, 1e4))
	assert.ErrorContains(t, err, "rope_parameters.rope_theta is 10000, but rope_theta is 500000", "transformers 4 and 5 would differ")
}

func TestHFConfigClassifier(t *testing.T) {
	raw := withField(t, "architectures", []string{"LlamaForSequenceClassification"})
	with := func(fields string) []byte { return bytes.Replace(raw, []byte(`{`), []byte(`{`+fields+`,`), 1) }
	m, err := parseConfig(with(`"id2label": {"0": "LABEL_0"}, "num_labels": 1, "score_bias": 0.5`))
	require.NoError(t, err)
	assert.Equal(t, header{Config: arch.Llama2_7B(), classifier: true, scoreBias: 0.5}, m)
	_, err = parseConfig(with(`"id2label": {"0": "NO", "1": "YES"}`))
	assert.ErrorContains(t, err, "id2label has 2 labels: a reward model has one")
	_, err = parseConfig(with(`"num_labels": 3`))
	assert.ErrorContains(t, err, "num_labels is 3: a reward model has one")
}

// No config makes the parser panic, and what it accepts can be allocated.
func FuzzHFConfig(f *testing.F) {
	f.Add([]byte(llama7B))
	f.Add([]byte(`{"hidden_size": 8, "rope_parameters": {"rope_theta": 1e4, "type": null}, "eos_token_id": [2, 3], "id2label": {}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := parseConfig(raw)
		if err == nil {
			require.NoError(t, m.Validate())
			require.Positive(t, m.NumParams())
		}
	})
}

// No index makes the parser panic, or leads out of the folder.
func FuzzIndex(f *testing.F) {
	f.Add([]byte(`{"metadata": {"total_size": 8}, "weight_map": {"a": "model-00001-of-00002.safetensors", "b": "x"}}`))
	f.Add([]byte(`{"weight_map": {"a": "../x", "b": "C:\\x", "c": ".", "d": ""}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		weights, err := parseIndex(raw)
		if err != nil {
			return
		}
		for _, file := range weights {
			require.Equal(t, "/models/llama", filepath.Dir(filepath.Join("/models/llama", file)))
		}
	})
}
