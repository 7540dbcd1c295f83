package model

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/golden"
)

// llama7B is the config.json that Llama 2 7B is published with, less what does not matter.
const llama7B = `{
  "_name_or_path": "meta-llama/Llama-2-7b-hf", "architectures": ["LlamaForCausalLM"], "bos_token_id": 1, "eos_token_id": 2,
  "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02, "intermediate_size": 11008,
  "max_position_embeddings": 4096, "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 32,
  "num_key_value_heads": 32, "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": null,
  "tie_word_embeddings": false, "torch_dtype": "float16", "use_cache": true, "vocab_size": 32000}`

func TestHFConfigOfLlama2(t *testing.T) {
	c, _, err := parseHFConfig([]byte(llama7B))
	require.NoError(t, err)
	assert.Equal(t, Llama2_7B(), c)
}

func TestHFConfigRoundTrip(t *testing.T) {
	for name, c := range shapes() {
		c.RopeTheta, c.NormEps, c.EOS = 123456.75, 3e-6, -1
		raw, err := encodeHFConfig(c, false)
		require.NoError(t, err)
		got, archs, err := parseHFConfig(raw)
		require.NoError(t, err, name)
		assert.Equal(t, c, got, name)
		assert.Equal(t, []string{"LlamaForCausalLM"}, archs)
	}
	raw, err := encodeHFConfig(tiny(), true)
	require.NoError(t, err)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(raw, &fields))
	assert.Equal(t, []any{"LlamaForSequenceClassification"}, fields["architectures"])
	assert.Equal(t, 1.0, fields["num_labels"])
	assert.Len(t, fields["id2label"], 1, "other readers count the labels here")
}

func TestHFConfigVariants(t *testing.T) {
	for field, c := range map[string]struct {
		value any
		want  func(*Config)
	}{
		"num_key_value_heads":     {nil, func(c *Config) {}},
		"head_dim":                {64, func(c *Config) { c.HeadDim = 64 }},
		"eos_token_id":            {[]int{7, 8}, func(c *Config) { c.EOS = 7 }},
		"bos_token_id":            {nil, func(c *Config) { c.BOS = -1 }},
		"rope_theta":              {5e5, func(c *Config) { c.RopeTheta = 5e5 }},
		"rope_parameters":         {map[string]any{"rope_type": "default", "rope_theta": 2e4}, func(c *Config) { c.RopeTheta = 2e4 }},
		"rope_scaling":            {map[string]any{"type": "default"}, func(c *Config) {}},
		"rms_norm_eps":            {nil, func(c *Config) { c.NormEps = 1e-6 }},
		"attention_dropout":       {0.0, func(c *Config) {}},
		"max_position_embeddings": {nil, func(c *Config) { c.MaxSeqLen = 2048 }},
	} {
		want := Llama2_7B()
		c.want(&want)
		got, _, err := parseHFConfig(withField(t, field, c.value))
		require.NoError(t, err, field)
		assert.Equal(t, want, got, field)
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
	for field, value := range map[string]any{
		"model_type":            "mistral",
		"architectures":         []string{"LlamaForQuestionAnswering"},
		"hidden_act":            "gelu",
		"attention_bias":        true,
		"mlp_bias":              true,
		"rope_scaling":          map[string]any{"type": "linear", "factor": 2.0},
		"rope_parameters":       map[string]any{"rope_type": "llama3"},
		"partial_rotary_factor": 0.5,
		"sliding_window":        4096,
		"attention_dropout":     0.1,
		"quantization_config":   map[string]any{"bits": 4},
		"hidden_size":           nil,
		"num_hidden_layers":     -1,
		"num_attention_heads":   33,
		"eos_token_id":          "two",
		"vocab_size":            1 << 40,
	} {
		_, _, err := parseHFConfig(withField(t, field, value))
		name := map[string]string{"num_hidden_layers": "NumLayers", "eos_token_id": "token id", "vocab_size": "VocabSize"}[field]
		if name == "" {
			name = field
		}
		assert.ErrorContains(t, err, name)
	}
	_, _, err := parseHFConfig([]byte(`{"hidden_act": "gelu", "attention_bias": true}`))
	assert.ErrorContains(t, err, "hidden_act")
	assert.ErrorContains(t, err, "attention_bias", "all problems at once")
	assert.ErrorContains(t, err, "vocab_size is missing")
}

// copyModel copies a golden model's folder with changed tensors.
func copyModel(t *testing.T, name string, change func(map[string]Tensor)) string {
	t.Helper()
	from := filepath.Join(golden.Dir(t), name)
	raw, err := os.ReadFile(filepath.Join(from, configFile))
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, configFile), raw, 0o600))
	tensors, err := ReadSafetensors(filepath.Join(from, weightsFile))
	require.NoError(t, err)
	byName := make(map[string]Tensor)
	for _, x := range tensors {
		byName[x.Name] = x
	}
	change(byName)
	writeTensors(t, filepath.Join(dir, weightsFile), byName)
	return dir
}

func writeTensors(t *testing.T, path string, byName map[string]Tensor) {
	t.Helper()
	f, err := os.Create(path)
	require.NoError(t, err)
	var list []Tensor
	for name, x := range byName {
		list = append(list, Tensor{name, x.Shape, x.Data})
	}
	require.NoError(t, WriteSafetensors(f, list, nil))
	require.NoError(t, f.Close())
}

func TestLoadHFWrongTensors(t *testing.T) {
	const norm, q = "model.norm.weight", "model.layers.2.self_attn.q_proj.weight"
	for want, change := range map[string]func(map[string]Tensor){
		`tensor "` + norm + `" of shape [64] is missing`:      func(m map[string]Tensor) { delete(m, norm) },
		`"` + q + `" has shape [32 128], config.json wants`:   func(m map[string]Tensor) { x := m[q]; x.Shape = []int{32, 128}; m[q] = x },
		`tensor "lm_head.weight" of shape [512 64] is mis`:    func(m map[string]Tensor) { delete(m, "lm_head.weight") },
		`tensor "model.layers.0.self_attn.q_proj.bias" belon`: func(m map[string]Tensor) { m["model.layers.0.self_attn.q_proj.bias"] = m[norm] },
		`tensor "v_head.weight" belongs to no Llama`:          func(m map[string]Tensor) { m["v_head.weight"] = m[norm] },
		`"score.weight" has shape [64], config.json wants [1`: func(m map[string]Tensor) { m["score.weight"] = m[norm] },
		`and 17 more such errors`: func(m map[string]Tensor) {
			delete(m, norm)
			delete(m, q)
			maps.DeleteFunc(m, func(string, Tensor) bool { return len(m) > 3 })
		},
	} {
		_, err := Load(copyModel(t, "llama-gqa", change))
		assert.ErrorContains(t, err, want)
	}
	p, err := Load(copyModel(t, "llama-gqa", func(m map[string]Tensor) { m["model.layers.0.self_attn.rotary_emb.inv_freq"] = m[norm] }))
	require.NoError(t, err, "stored frequencies are left aside")
	assertSame(t, goldenModel(t, "llama-gqa"), p)
	p, err = Load(copyModel(t, "llama-mha-tied", func(m map[string]Tensor) { m["lm_head.weight"] = m["model.embed_tokens.weight"] }))
	require.NoError(t, err, "tied weights may be stored twice")
	assertSame(t, goldenModel(t, "llama-mha-tied"), p)
}

func TestLoadHFRewardModel(t *testing.T) {
	const n = 64
	head := Tensor{Shape: []int{1, n}, Data: make([]float32, n)}
	head.Data[3] = 0.5
	p, err := Load(copyModel(t, "llama-gqa", func(m map[string]Tensor) { delete(m, "lm_head.weight"); m["score.weight"] = head }))
	require.NoError(t, err)
	assert.True(t, p.HasHead())
	assert.Nil(t, p.Output())
	assert.Equal(t, head.Data, floats[float32](p.Get("score.weight").Value))
	assert.Equal(t, []float32{0}, floats[float32](p.Get("score.bias").Value), "other tools' heads have no bias")
}

func TestLoadHFShards(t *testing.T) {
	dir := copyModel(t, "llama-gqa", func(map[string]Tensor) {})
	tensors, err := ReadSafetensors(filepath.Join(dir, weightsFile))
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(dir, weightsFile)))
	files := []string{"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}
	shards := []map[string]Tensor{{}, {}}
	index := make(map[string]string)
	for i, x := range tensors {
		shards[i%2][x.Name] = x
		index[x.Name] = files[i%2]
	}
	for i, file := range files {
		writeTensors(t, filepath.Join(dir, file), shards[i])
	}
	write := func() {
		raw, err := json.Marshal(map[string]any{"metadata": map[string]int{"total_size": 1}, "weight_map": index})
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, indexFile), raw, 0o600))
	}
	write()
	p, err := Load(dir)
	require.NoError(t, err)
	assertSame(t, goldenModel(t, "llama-gqa"), p)

	name := tensors[0].Name
	for want, file := range map[string]string{
		"is not in " + files[1]:   files[1],
		"want a file beside":      "../" + files[0],
		"no such file":            "model-3.safetensors",
		`lies in "", want a file`: "",
	} {
		index[name] = file
		write()
		_, err := Load(dir)
		assert.ErrorContains(t, err, want)
	}
	index[name] = files[0]
	write()
	shards[1][name] = tensors[0]
	writeTensors(t, filepath.Join(dir, files[1]), shards[1])
	_, err = Load(dir)
	assert.ErrorContains(t, err, `tensor "`+name+`" is in `)
}

// assertSame wants the same weights, bit for bit.
func assertSame(t *testing.T, want, got *Params) {
	t.Helper()
	assert.Equal(t, want.Config(), got.Config())
	require.Len(t, got.All(), len(want.All()))
	for i, w := range want.All() {
		g := got.All()[i]
		assert.Equal(t, w.Name, g.Name)
		assert.Equal(t, w.Decay, g.Decay)
		assert.True(t, w.Value.Shape().Eq(g.Value.Shape()), w.Name)
		assert.Equal(t, w.Value.Data(), g.Value.Data(), w.Name)
	}
}
