package model

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/gguf"
	"github.com/tame-rlhf/tame/pkg/model/arch"
)

// refusedByGGUF are the models of familyConfigs that llama.cpp does not compute, and the fields that say so.
var refusedByGGUF = map[string]string{
	"llama-dynamic":        "Config.Rope is ",
	"llama-yarn-factors":   "Config.Rope is ",
	"llama-yarn-attention": "Config.Rope is ",
	"mistral":              "Config.Window is 7, want 0",
	"mistral-long":         "Config.Window is 270, want 0",
	"qwen2-window":         "Config.Window is 9, want 0",
	"qwen3-window":         "Config.AttentionBias is true, want false",
}

// Each model comes back from a GGUF file, or is refused by the name of what llama.cpp does not compute.
func TestGGUFOfFamilies(t *testing.T) {
	eachFamily(t, func(t *testing.T, cfg Config, _ familyValues) {
		p := formulaParams(t, cfg, false)
		path := filepath.Join(t.TempDir(), "m.gguf")
		err := SaveGGUF(path, p, F32, nil)
		if refused := refusedByGGUF[filepath.Base(t.Name())]; refused != "" {
			require.ErrorContains(t, err, refused)
			return
		}
		require.NoError(t, err)
		got, err := Load(path)
		require.NoError(t, err)
		if cfg.Family == arch.FamilyMistral {
			assert.Equal(t, arch.FamilyLlama, got.cfg.Family, "which a Mistral is there")
			got.cfg.Family = cfg.Family
		}
		assertSame(t, p, got)
	})
	// A window that no sequence is longer than changes nothing.
	cfg := familyConfigs()["mistral"]
	cfg.MaxSeqLen = cfg.Window
	path := filepath.Join(t.TempDir(), "m.gguf")
	require.NoError(t, SaveGGUF(path, formulaParams(t, cfg, false), F32, nil))
	got, err := Load(path)
	require.NoError(t, err)
	assert.Zero(t, got.Config().Window)
}

// Llama 3.1 has the divisors of its frequencies in a tensor.
func TestGGUFOfLlama3(t *testing.T) {
	cfg := familyConfigs()["llama3"]
	p := formulaParams(t, cfg, false)
	path := filepath.Join(t.TempDir(), "m.gguf")
	require.NoError(t, SaveGGUF(path, p, F32, nil))
	f, err := gguf.Open(path)
	require.NoError(t, err)
	info, ok := f.Tensor("rope_freqs.weight")
	require.True(t, ok)
	divisors := make([]float32, 4)
	require.NoError(t, f.Decode(info, 0, 1, func(int) []float32 { return divisors }))
	// Rotations over 32 tokens, by 5e5^(-i/4): 5.09, 0.19, 0.007, 0.0003.
	assert.Equal(t, []float32{1, 8, 8, 8}, divisors)
	require.NoError(t, f.Close())

	with := func(meta map[string]any, values ...float32) (*Params, error) {
		return Load(change(t, p, meta, func(all []gguf.Source) []gguf.Source {
			return append(all, gguf.Source{
				Name: "rope_freqs.weight", Shape: []int{len(values)}, Type: gguf.F32, Row: func(int) []float32 { return values },
			})
		}))
	}
	got, err := with(nil, divisors...)
	require.NoError(t, err)
	assertSame(t, p, got)
	for _, bad := range [][]float32{{1, 8, 8, 7.9}, {2, 8, 8, 8}, {1, 8, 8}, {-1, -1, -1, -1}} {
		_, err := with(nil, bad...)
		assert.ErrorContains(t, err, `tensor "rope_freqs.weight" does not scale rotary positions as Llama 3.1 does`)
	}
	for want, meta := range map[string]map[string]any{
		"llama.rope.scaling.type is linear too":                               {"llama.rope.scaling.factor": float32(2)},
		"llama.rope.scaling.factor is 2, but llama.rope.scaling.type is none": {"llama.rope.scaling.factor": float32(2), "llama.rope.scaling.type": "none"},
		"llama.rope.scaling.attn_factor is 2, only 1":                         {"llama.rope.scaling.attn_factor": float32(2)},
		"llama.rope.scaling.yarn_log_multiplier is 0.5, only 0":               {"llama.rope.scaling.yarn_log_multiplier": float32(0.5)},
		"llama.rope.scaling.type is 7, only none, linear and yarn":            {"llama.rope.scaling.type": uint32(7)},
	} {
		_, err := with(meta, divisors...)
		assert.ErrorContains(t, err, want)
	}
}

// pythonWith is a Python that has these modules; without one the test is skipped.
func pythonWith(t *testing.T, modules string) string {
	t.Helper()
	for _, python := range []string{"python3", "python"} {
		if exec.Command(python, "-c", "import "+modules).Run() == nil {
			return python
		}
	}
	t.Skipf("no python with %s in the PATH", modules)
	return ""
}

// reopened is what transformers computes with saved models: the log-probabilities of the tokens, and the scores of reward models.
func reopened(t *testing.T, python string, tokens []int32, paths []string) map[string][]float64 {
	t.Helper()
	raw, err := json.Marshal(tokens)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "tokens.json")
	require.NoError(t, os.WriteFile(file, raw, 0o600))
	cmd := exec.Command(python, append([]string{"testdata/families.py", "open", file}, paths...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	var got map[string][]float64
	require.NoError(t, json.Unmarshal(out, &got))
	require.Len(t, got, len(paths))
	return got
}

// transformers opens the folders that are saved here, and gets the same log-probabilities and scores.
func TestFamiliesInTransformers(t *testing.T) {
	python := pythonWith(t, "torch, transformers")
	values, want, tmp := readFamilies(t), make(map[string][]float64), t.TempDir()
	for name, cfg := range familyConfigs() {
		for suffix, numbers := range map[string][]float64{"": values[name].LogProbs[:47], "-reward": values[name].Scores} {
			folder := filepath.Join(tmp, name+suffix)
			require.NoError(t, Save(folder, formulaParams(t, cfg, suffix != ""), nil))
			want[folder] = numbers
		}
	}
	got := reopened(t, python, values["llama"].Tokens, slices.Collect(maps.Keys(want)))
	for path, numbers := range want {
		assert.InDeltaSlice(t, numbers, got[path], transformersTol, filepath.Base(path))
	}
}

// transformers opens GGUF files, of the models that it reads as llama.cpp does. It knows neither scaled rotary positions nor biases of a
// Llama there.
func TestFamiliesAsGGUFInTransformers(t *testing.T) {
	python := pythonWith(t, "torch, transformers, gguf, accelerate")
	values, want, tmp := readFamilies(t), make(map[string][]float64), t.TempDir()
	for _, name := range []string{"llama", "mistral-full", "qwen2", "qwen3"} {
		cfg := familyConfigs()[name]
		switch cfg.Family { // it does not read the width of a head there
		case arch.FamilyQwen2:
			cfg.HeadDim = cfg.Dim / cfg.NumHeads
		case arch.FamilyQwen3:
			cfg.HeadDim = 128
		}
		p, path := formulaParams(t, cfg, false), filepath.Join(tmp, name+".gguf")
		require.NoError(t, SaveGGUF(path, p, F32, nil))
		d, err := NewDecoder(p, 1, len(values[name].Tokens))
		require.NoError(t, err)
		want[path] = widen(decoderLogProbs(t, d, 0, values[name].Tokens)) // which are those of transformers: TestLogProbsOfFamilies
	}
	got := reopened(t, python, values["llama"].Tokens, slices.Collect(maps.Keys(want)))
	for path, numbers := range want {
		assert.InDeltaSlice(t, numbers, got[path], transformersTol, filepath.Base(path))
	}
}
