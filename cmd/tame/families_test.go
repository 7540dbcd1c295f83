package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/model/arch"
)

// A model of another family is trained from scratch, sampled from and converted by settings alone; what makes no sense is refused by key.
func TestPretrainFamilies(t *testing.T) {
	text := file(t, "cats.txt", strings.Repeat("the cat sat on the mat<|endoftext|>a dog sat on a log<|endoftext|>the dog and the cat<|endoftext|>", 8))
	config := file(t, "pretrain.yaml", `
vocab_size: 285
shape:
  family: qwen3
  dim: 16
  num_layers: 2
  num_heads: 2
  num_kv_heads: 1
  head_dim: 10
  hidden_dim: 32
  max_seq_len: 64
  window: 8
  full_layers: 1
  attention_bias: true
  rope: {type: llama3, factor: 8, original_max_seq_len: 16, low_freq_factor: 1, high_freq_factor: 4}
warmup_steps: 2
steps: 4
optim: {learning_rate: 1e-2}
batch_tokens: 128
micro_tokens: 128
micro_segments: 16
data: `+text)
	dir := t.TempDir()
	out := filepath.Join(dir, "base")
	mustRun(t, "pretrain", "--config", config, "--set", "output="+out)
	p, err := model.Load(out)
	require.NoError(t, err)
	c := p.Config()
	assert.Equal(t, arch.FamilyQwen3, c.Family)
	assert.Equal(t, []int{8, 1, 10}, []int{c.Window, c.FullLayers, c.HeadDim})
	assert.Equal(t, arch.RopeScaling{Type: arch.RopeLlama3, Factor: 8, OriginalMaxSeqLen: 16, LowFreqFactor: 1, HighFreqFactor: 4}, c.Rope)
	raw, err := os.ReadFile(filepath.Join(out, "config.json"))
	require.NoError(t, err)
	assert.Contains(t, string(raw), `"Qwen3ForCausalLM"`)
	_, err = tame(t, `{"prompt": "the cat"}`, "generate", "--model", out, "--max-new-tokens", "20")
	require.NoError(t, err)
	mustRun(t, "convert", "model", out, filepath.Join(dir, "again"))
	_, err = tame(t, "", "convert", "model", out, filepath.Join(dir, "m.bin"))
	assert.ErrorContains(t, err, "the format has no place for weight")
	for want, set := range map[string]string{
		"shape.window is 8, want 0 for the family llama":             "shape.family=llama",
		`unknown family "gpt2", want llama, mistral, qwen2 or qwen3`: "shape.family=gpt2",
		"shape.rope.factor is -1, want a positive number":            "shape.rope.factor=-1",
		"shape.full_layers is 3, want 0 to":                          "shape.full_layers=3",
	} {
		_, err := tame(t, "", "pretrain", "--config", config, "--set", "output="+out+"2", "--set", set)
		assert.ErrorContains(t, err, want)
	}
}
