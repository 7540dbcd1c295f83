package tokenizer

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOfModel(t *testing.T) {
	cfg := DefaultTrainConfig()
	cfg.VocabSize = 266
	tok, err := Train(t.Context(), slices.Values([]string{"a b ab ab"}), cfg)
	require.NoError(t, err)
	dir := t.TempDir()
	none, err := OfModel(dir)
	require.NoError(t, err)
	assert.Nil(t, none, "a folder without a tokenizer")
	weights := filepath.Join(dir, "stories.bin")
	require.NoError(t, os.WriteFile(weights, []byte("weights"), 0o600))
	none, err = OfModel(weights)
	require.NoError(t, err)
	assert.Nil(t, none, "a file of weights")

	require.NoError(t, tok.SaveFolder(dir))
	found, err := OfModel(dir)
	require.NoError(t, err)
	require.NotNil(t, found)
	assert.True(t, Same(tok, found))

	cfg.VocabSize++
	other, err := Train(t.Context(), slices.Values([]string{"a b ab abab"}), cfg)
	require.NoError(t, err)
	assert.False(t, Same(tok, other), "another number of pieces")
	cfg.VocabSize--
	other, err = Train(t.Context(), slices.Values([]string{"a c ac ac"}), cfg)
	require.NoError(t, err)
	assert.False(t, Same(tok, other), "other pieces")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "tokenizer.json"), []byte("damaged"), 0o600))
	_, err = OfModel(dir)
	assert.Error(t, err, "a damaged tokenizer is not passed over")
}
