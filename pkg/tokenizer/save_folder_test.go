package tokenizer

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A folder has both forms. Texts are encoded by tokenizer.json, and what is written from it as a model or for GGUF is the tokenizer.model.
func TestSaveFolderBothForms(t *testing.T) {
	tok := loadShared(t, "llama_tokenizer", "tokenizer.model")
	first, second := t.TempDir(), t.TempDir()
	require.NoError(t, tok.SaveFolder(first))
	again, err := Load(first)
	require.NoError(t, err)
	require.NotNil(t, again.hugging)
	require.NoError(t, again.SaveFolder(second))
	for _, name := range []string{"tokenizer.model", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"} {
		a, err := os.ReadFile(filepath.Join(first, name))
		require.NoError(t, err)
		b, err := os.ReadFile(filepath.Join(second, name))
		require.NoError(t, err)
		assert.Equal(t, a, b, name)
	}
	want, err := tok.GGUF(tok.VocabSize())
	require.NoError(t, err)
	got, err := again.GGUF(tok.VocabSize())
	require.NoError(t, err)
	assert.Equal(t, want, got)

	// A tokenizer.model of other pieces is not taken for the tokenizer's.
	require.NoError(t, toy(t, DefaultParts()).Save(filepath.Join(first, "tokenizer.model")))
	again, err = Load(first)
	require.NoError(t, err)
	assert.Equal(t, tok.VocabSize(), again.VocabSize())
	_, err = again.GGUF(tok.VocabSize())
	assert.ErrorContains(t, err, "at another place than a SentencePiece model would")
}
