package model_test

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

func TestLoadWithTokenizer(t *testing.T) {
	cfg := tokenizer.DefaultTrainConfig()
	cfg.VocabSize = 266
	tok, err := tokenizer.Train(t.Context(), slices.Values([]string{"a b ab ab"}), cfg)
	require.NoError(t, err)
	save := func(change func(*model.Config)) string {
		shape := model.Config{
			Dim: 8, NumLayers: 1, NumHeads: 1, NumKVHeads: 1, HeadDim: 8, HiddenDim: 16, VocabSize: tok.VocabSize(),
			MaxSeqLen: 16, NormEps: 1e-5, RopeTheta: 1e4, BOS: tok.BOS(), EOS: tok.EOS(),
		}
		change(&shape)
		p := model.NewParams(shape, tensor.Float32)
		p.Init(rand.New(rand.NewPCG(1, 1)))
		dir := filepath.Join(t.TempDir(), "model")
		require.NoError(t, model.Save(dir, p, nil))
		return dir
	}
	dir := save(func(*model.Config) {})
	file := filepath.Join(t.TempDir(), "tokenizer.model")
	require.NoError(t, tok.Save(file))
	_, none, err := model.LoadWithTokenizer(dir, "")
	require.NoError(t, err)
	assert.Nil(t, none)
	_, named, err := model.LoadWithTokenizer(dir, file)
	require.NoError(t, err)
	assert.Equal(t, 266, named.VocabSize())
	require.NoError(t, tok.SaveFolder(dir))
	_, own, err := model.LoadWithTokenizer(dir, "")
	require.NoError(t, err)
	require.NotNil(t, own)
	assert.True(t, tokenizer.Same(tok, own))

	_, larger, err := model.LoadWithTokenizer(save(func(c *model.Config) { c.VocabSize = 300 }), file)
	require.NoError(t, err, "a model may have more ids than the tokenizer")
	assert.NotNil(t, larger)
	_, smaller, err := model.LoadWithTokenizer(save(func(c *model.Config) { c.VocabSize = 265 }), file)
	require.NoError(t, err, "such as <pad>, which no text has")
	assert.Equal(t, 266, smaller.VocabSize())
	_, _, err = model.LoadWithTokenizer(save(func(c *model.Config) { c.EOS = 5 }), file)
	assert.ErrorContains(t, err, "the tokenizer has BOS 1 and EOS 2, the model 1 and 5")
	_, _, err = model.LoadWithTokenizer(filepath.Join(t.TempDir(), "nowhere"), file)
	assert.ErrorContains(t, err, "nowhere")
}
