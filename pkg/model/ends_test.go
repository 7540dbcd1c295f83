package model_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// endsModel writes a small model; change edits its config.json, generation is its generation_config.json, "" for none.
func endsModel(t *testing.T, change func(config map[string]any), generation string) string {
	t.Helper()
	p := model.NewParams(model.Config{
		Dim: 8, NumLayers: 1, NumHeads: 1, NumKVHeads: 1, HeadDim: 8, HiddenDim: 16, VocabSize: 300,
		MaxSeqLen: 16, NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}, tensor.Float32)
	dir := filepath.Join(t.TempDir(), "model")
	require.NoError(t, model.Save(dir, p, nil))
	path := filepath.Join(dir, "config.json")
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	var config map[string]any
	require.NoError(t, json.Unmarshal(raw, &config))
	change(config)
	raw, err = json.Marshal(config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, raw, 0o600))
	other := filepath.Join(dir, "generation_config.json")
	if generation == "" {
		require.NoError(t, os.Remove(other))
	} else {
		require.NoError(t, os.WriteFile(other, []byte(generation), 0o600))
	}
	return dir
}

func eosTokens(ids any) func(map[string]any) {
	return func(config map[string]any) { config["eos_token_id"] = ids }
}

// All ids of eos_token_id end an answer. As in transformers, those of generation_config.json count if it has some.
func TestEnds(t *testing.T) {
	for _, c := range []struct {
		config     any
		generation string
		want       []int32
	}{
		{2, "", []int32{2}},
		{[]int{2, 7, 2}, "", []int32{2, 7}},
		{nil, "", nil},
		{2, `{"eos_token_id": [7, 2, 9], "temperature": 0.6}`, []int32{2, 7, 9}},
		{[]int{2, 7}, `{"eos_token_id": 2}`, []int32{2}},
		{2, `{"eos_token_id": 9}`, []int32{9}},
		{2, `{"eos_token_id": null}`, []int32{2}},
		{[]int{2, 5}, `{}`, []int32{2, 5}},
	} {
		dir := endsModel(t, eosTokens(c.config), c.generation)
		p, err := model.Load(dir)
		require.NoError(t, err, c)
		assert.Equal(t, c.want, p.Ends(), c)

		again := filepath.Join(t.TempDir(), "again")
		require.NoError(t, model.Save(again, p.Clone(), nil))
		back, err := model.Load(again)
		require.NoError(t, err)
		assert.Equal(t, c.want, back.Ends(), "written and read: %v", c)

		err = model.SaveMeta(filepath.Join(t.TempDir(), "meta"), p, model.F32, nil)
		if len(c.want) > 1 {
			assert.ErrorContains(t, err, "the format can hold 1 of the ids that end an answer")
			assert.ErrorContains(t, err, "layout of Hugging Face")
		}
	}
	_, err := model.Load(endsModel(t, eosTokens(2), `{"eos_token_id": [2, 300]}`))
	assert.ErrorContains(t, err, "generation_config.json: eos_token_id has 300, and the model has the ids 0 to 299")
	_, err = model.Load(endsModel(t, eosTokens([]int{2, -4}), ""))
	assert.ErrorContains(t, err, "eos_token_id has -4")
	_, err = model.Load(endsModel(t, eosTokens(2), `{"eos_token_id": "x"}`))
	assert.ErrorContains(t, err, `generation_config.json: eos_token_id is "x"`)
}

// GGUF has a second id, that of the end of a turn.
func TestEndsGGUF(t *testing.T) {
	for _, ids := range [][]int{{2}, {2, 7}} {
		p, err := model.Load(endsModel(t, eosTokens(ids), ""))
		require.NoError(t, err)
		path := filepath.Join(t.TempDir(), "m.gguf")
		require.NoError(t, model.SaveGGUF(path, p, model.F32, nil))
		back, err := model.Load(path)
		require.NoError(t, err)
		assert.Equal(t, p.Ends(), back.Ends())
	}
	p, err := model.Load(endsModel(t, eosTokens([]int{2, 7, 9}), ""))
	require.NoError(t, err)
	assert.ErrorContains(t, model.SaveGGUF(filepath.Join(t.TempDir(), "m.gguf"), p, model.F32, nil), "the model has [2 7 9]")
}

func TestSetEnds(t *testing.T) {
	p, err := model.Load(endsModel(t, eosTokens(2), ""))
	require.NoError(t, err)
	shared := p.Share()
	require.NoError(t, p.SetEnds(7, 2))
	assert.Equal(t, []int32{7, 2}, p.Ends())
	assert.EqualValues(t, 7, p.Config().EOS)
	assert.Equal(t, []int32{2}, shared.Ends())
	assert.Error(t, p.SetEnds())
	assert.ErrorContains(t, p.SetEnds(300), "300")
}

// Of several ids, the tokenizer says which one ends a text.
func TestEndsOfTokenizer(t *testing.T) {
	cfg := tokenizer.DefaultTrainConfig()
	cfg.VocabSize = 266
	tok, err := tokenizer.Train(t.Context(), slices.Values([]string{"a b ab ab"}), cfg)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "tokenizer.model")
	require.NoError(t, tok.Save(file))
	p, _, err := model.LoadWithTokenizer(endsModel(t, eosTokens([]int{7, 9, 2}), ""), file)
	require.NoError(t, err)
	assert.Equal(t, []int32{2, 9, 7}, p.Ends())
	assert.Equal(t, tok.EOS(), p.Config().EOS)
}

// What other programs read beside the weights is honoured or refused by its name.
func TestForeignFiles(t *testing.T) {
	for name, want := range map[string]string{"adapter_config.json": "merge it into its base model", "value_head.bin": "score.weight"} {
		dir := endsModel(t, eosTokens(2), "")
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("{}"), 0o600))
		_, err := model.Load(dir)
		assert.ErrorContains(t, err, name)
		assert.ErrorContains(t, err, want)
	}
}

// OpenRLHF keeps the mean and deviation of the scores in config.json: the score is (x - mean) / std.
func TestNormalisedReward(t *testing.T) {
	p, err := model.Load(endsModel(t, eosTokens(2), ""))
	require.NoError(t, err)
	p.AddHead(rand.New(rand.NewPCG(1, 2)))
	dir := filepath.Join(t.TempDir(), "reward")
	require.NoError(t, model.Save(dir, p, nil))
	path := filepath.Join(dir, "config.json")
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	with := func(fields string) {
		require.NoError(t, os.WriteFile(path, bytes.Replace(raw, []byte("{"), []byte("{"+fields+","), 1), 0o600))
	}
	weights := func(p *model.Params) (w []float32, bias float32) {
		return p.Get("score.weight").Value.Data().([]float32), p.Get("score.bias").Value.Data().([]float32)[0]
	}
	want, _ := weights(p)

	with(`"normalize_reward": true, "mean": 3, "std": 2`)
	got, err := model.Load(dir)
	require.NoError(t, err)
	w, bias := weights(got)
	for i := range w {
		assert.InDelta(t, want[i]/2, w[i], 1e-7)
	}
	assert.InDelta(t, -1.5, bias, 1e-7)

	with(`"normalize_reward": false, "mean": 3, "std": 2`)
	got, err = model.Load(dir)
	require.NoError(t, err)
	_, bias = weights(got)
	assert.Zero(t, bias)

	with(`"normalize_reward": true`)
	_, err = model.Load(dir)
	assert.ErrorContains(t, err, "normalize_reward is true, and std is 0")
}

// Weights under wrapped names are refused with the prefix that is there, not as missing one by one.
func TestPrefixOfTensors(t *testing.T) {
	p, err := model.Load(endsModel(t, eosTokens(2), ""))
	require.NoError(t, err)
	for prefix, want := range map[string]string{
		"_orig_mod.model.": "save the model itself again", "": "where Llama's begin with \"model.\"", "base_model.model.model.": "merge_and_unload",
	} {
		dir := filepath.Join(t.TempDir(), "m")
		require.NoError(t, model.Save(dir, p, nil))
		path := filepath.Join(dir, "model.safetensors")
		tensors, err := model.ReadSafetensors(path)
		require.NoError(t, err)
		for i := range tensors {
			tensors[i].Name = prefix + strings.TrimPrefix(tensors[i].Name, "model.")
		}
		var buf bytes.Buffer
		require.NoError(t, model.WriteSafetensors(&buf, tensors, nil))
		require.NoError(t, os.WriteFile(path, buf.Bytes(), 0o600))
		_, err = model.Load(dir)
		assert.ErrorContains(t, err, fmt.Sprintf("the names of the tensors begin with %q", prefix))
		assert.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), "is missing")
	}
	assert.ErrorContains(t, p.Add("__metadata__", tensor.New(tensor.WithShape(1), tensor.WithBacking([]float32{1})), false), "reserved")
}
