package model

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/golden"
	"github.com/tame-rlhf/tame/pkg/model/internal/hf"
)

// copyModel copies a golden model's folder with changed tensors.
func copyModel(t *testing.T, name string, change func(map[string]Tensor)) string {
	t.Helper()
	from := filepath.Join(golden.Dir(t), name)
	raw, err := os.ReadFile(filepath.Join(from, hf.ConfigFile))
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, hf.ConfigFile), raw, 0o600))
	tensors, err := ReadSafetensors(filepath.Join(from, hf.WeightsFile))
	require.NoError(t, err)
	byName := make(map[string]Tensor)
	for _, x := range tensors {
		byName[x.Name] = x
	}
	change(byName)
	writeTensors(t, filepath.Join(dir, hf.WeightsFile), byName)
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
}

func TestLoadHFTied(t *testing.T) {
	const embed, output = "model.embed_tokens.weight", "lm_head.weight"
	load := func(change func(map[string]Tensor)) (*Params, error) {
		return Load(copyModel(t, "llama-mha-tied", change))
	}
	p, err := load(func(m map[string]Tensor) { m[output] = m[embed] })
	require.NoError(t, err, "tied weights may be stored twice")
	assertSame(t, goldenModel(t, "llama-mha-tied"), p)
	p, err = load(func(m map[string]Tensor) { m[output] = m[embed]; delete(m, embed) })
	require.NoError(t, err, "or under the other name")
	assertSame(t, goldenModel(t, "llama-mha-tied"), p)

	_, err = load(func(m map[string]Tensor) {
		other := m[embed]
		other.Data = slices.Clone(other.Data)
		other.Data[len(other.Data)-1]++
		m[output] = other
	})
	assert.ErrorContains(t, err, `"lm_head.weight" differs from the embedding, though tie_word_embeddings is true`)
	_, err = load(func(m map[string]Tensor) { m[output] = m["model.norm.weight"] })
	assert.ErrorContains(t, err, `"lm_head.weight" is no copy of the embedding`)
	_, err = load(func(m map[string]Tensor) { delete(m, embed) })
	assert.ErrorContains(t, err, `"model.embed_tokens.weight" of shape [512 64] is missing`)
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

	// A reward model that was saved here, then by transformers, which keeps unknown fields of the config and drops the bias.
	p = randomParams(tiny(), tensor.Float32, 41)
	dir := filepath.Join(t.TempDir(), "m")
	require.NoError(t, Save(dir, p, nil))
	tensors, err := ReadSafetensors(filepath.Join(dir, hf.WeightsFile))
	require.NoError(t, err)
	byName := make(map[string]Tensor)
	for _, x := range tensors {
		byName[x.Name] = x
	}
	require.Contains(t, byName, "score.bias")
	delete(byName, "score.bias")
	writeTensors(t, filepath.Join(dir, hf.WeightsFile), byName)
	got, err := Load(dir)
	require.NoError(t, err)
	assertSame(t, p, got)

	delete(byName, "score.weight")
	writeTensors(t, filepath.Join(dir, hf.WeightsFile), byName)
	_, err = Load(dir)
	assert.ErrorContains(t, err, `tensor "score.weight" of shape [1 24] is missing`)
}

func TestLoadHFShards(t *testing.T) {
	dir := copyModel(t, "llama-gqa", func(map[string]Tensor) {})
	tensors, err := ReadSafetensors(filepath.Join(dir, hf.WeightsFile))
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(dir, hf.WeightsFile)))
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
		require.NoError(t, os.WriteFile(filepath.Join(dir, hf.IndexFile), raw, 0o600))
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
		`lies in "/etc/passwd"`:   "/etc/passwd",
		`lies in ".."`:            "..",
		`lies in "."`:             ".",
		`lies in "..\\x"`:         `..\x`,
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
