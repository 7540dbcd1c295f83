package tokenizer

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/gguf"
)

// llama.cpp's own vocabulary of Llama 2 with its own test vectors.
func TestGGUFVectors(t *testing.T) {
	dir := "../../../shared/data/llama_tokenizer/"
	tok, err := LoadGGUF(dir + "ggml-vocab-llama-spm.gguf")
	if os.IsNotExist(err) || err != nil && strings.Contains(err.Error(), "no such file") {
		t.Skip("llama_tokenizer is not there")
	}
	require.NoError(t, err)
	assert.Equal(t, 32000, tok.VocabSize())
	in, err := os.ReadFile(dir + "ggml-vocab-llama-spm.gguf.inp")
	require.NoError(t, err)
	out, err := os.ReadFile(dir + "ggml-vocab-llama-spm.gguf.out")
	require.NoError(t, err)
	texts := strings.Split(string(in), "\n__ggml_vocab_test__\n")
	lines := strings.Split(string(out), "\n") // a text without ids has an empty line
	require.Len(t, texts, 47)
	require.GreaterOrEqual(t, len(lines), len(texts))
	for i, text := range texts {
		want := []int32{}
		for _, id := range strings.Fields(lines[i]) {
			n, err := strconv.Atoi(id)
			require.NoError(t, err)
			want = append(want, int32(n))
		}
		assert.Equal(t, want, append([]int32{}, tok.Encode(text)...), "%q", text)
	}

	// It is the tokenizer that Meta ships.
	meta, err := Load(dir + "tokenizer.model")
	require.NoError(t, err)
	assert.Equal(t, meta.Pieces(), tok.Pieces())
	assert.Equal(t, meta.Parts(), tok.Parts())
}

func toy(t testing.TB, parts Parts) *Tokenizer {
	t.Helper()
	tok, err := FromPieces([]Piece{
		{Text: "<unk>", Type: Unknown}, {Text: "<s>", Type: Control}, {Text: "</s>", Type: Control}, {Text: "<pad>", Type: Control},
		{Text: "\u2581", Score: -1, Type: Normal}, {Text: "a", Score: -2, Type: Normal}, {Text: "\u2581a", Score: -0.5, Type: Normal},
		{Text: "<tool>", Type: UserDefined}, {Text: "x", Score: -3, Type: Unused},
	}, parts)
	require.NoError(t, err)
	return tok
}

func writeMeta(t testing.TB, meta map[string]any) string {
	t.Helper()
	var list []gguf.KeyValue
	for key, v := range meta {
		if v != nil {
			list = append(list, gguf.KeyValue{Key: key, Value: v})
		}
	}
	var buf bytes.Buffer
	require.NoError(t, gguf.Write(&buf, list, nil))
	path := filepath.Join(t.TempDir(), "v.gguf")
	require.NoError(t, os.WriteFile(path, buf.Bytes(), 0o600))
	return path
}

func TestGGUFRoundTrip(t *testing.T) {
	for _, parts := range []Parts{
		DefaultParts(), {BOS: 1, EOS: 2, PAD: 3, AddDummyPrefix: true}, {BOS: -1, EOS: 2, PAD: -1}, {BOS: -1, EOS: -1, PAD: -1, AddDummyPrefix: true},
	} {
		tok := toy(t, parts)
		for _, size := range []int{9, 10, 64} { // more than there are: filled up with tokens that nobody sees
			meta, err := tok.GGUF(size)
			require.NoError(t, err)
			require.Len(t, meta[ggufTokens], size)
			got, err := LoadGGUF(writeMeta(t, meta))
			require.NoError(t, err)
			assert.Equal(t, tok.Pieces(), got.Pieces())
			assert.Equal(t, tok.Parts(), got.Parts())
			assert.Equal(t, tok.Encode("a <tool>a aa"), got.Encode("a <tool>a aa"))
		}
	}
}

func TestGGUFRefuses(t *testing.T) {
	tok := toy(t, DefaultParts())
	_, err := tok.GGUF(8)
	assert.ErrorContains(t, err, "9 pieces for a model of 8 ids")
	parts := DefaultParts()
	parts.RemoveExtraSpaces = true
	_, err = toy(t, parts).GGUF(9)
	assert.ErrorContains(t, err, "normalises text")

	for _, c := range []struct {
		want, key string
		value     any
	}{
		{"no vocabulary", ggufModel, nil},
		{"no vocabulary", ggufModel, "none"},
		{"tokenizer.ggml.pre is \"default\", which says how text is cut", ggufModel, "gpt2"},
		{"tokenizer.ggml.tokens is missing", ggufTokens, nil},
		{"tokenizer.ggml.tokens is not a list of texts", ggufTokens, []int32{1}},
		{"1 tokens, 9 scores and 9 types", ggufTokens, []string{"a"}},
		{"tokenizer.ggml.scores is missing", ggufScores, nil},
		{"tokenizer.ggml.token_type is missing", ggufTypes, nil},
		{"token 8 has the unknown type 300", ggufTypes, []int32{2, 3, 3, 3, 1, 1, 1, 4, 300}},
		{"type 9", ggufTypes, []int32{2, 3, 3, 3, 1, 1, 1, 4, 9}},
		{"BOS", ggufBOS, uint32(5)},
		{"tokenizer.ggml.add_space_prefix is 1, want a bool", ggufSpacePrefix, uint8(1)},
		{"rules of normalisation", ggufCharsMap, []uint8{1, 2}},
	} {
		meta, err := tok.GGUF(9)
		require.NoError(t, err)
		meta[c.key] = c.value
		path := writeMeta(t, meta)
		_, err = LoadGGUF(path)
		assert.ErrorContains(t, err, c.want)
		assert.ErrorContains(t, err, path)
	}
	_, err = LoadGGUF("gguf_test.go")
	assert.ErrorContains(t, err, "not a GGUF file")
}

// Some converters call <unk> a control token, and leave out what has a default.
func TestGGUFOfOthers(t *testing.T) {
	tok := toy(t, DefaultParts())
	meta, err := tok.GGUF(9)
	require.NoError(t, err)
	meta[ggufTypes].([]int32)[0] = int32(Control)
	for _, key := range []string{ggufBOS, ggufEOS, ggufUNK, ggufSpacePrefix, ggufAddBOS} {
		delete(meta, key)
	}
	got, err := LoadGGUF(writeMeta(t, meta))
	require.NoError(t, err)
	assert.Equal(t, tok.Pieces(), got.Pieces())
	assert.Equal(t, tok.Parts(), got.Parts())
}

// llama.cpp's converter of 2024 gave the tokens that fill a vocabulary up the type unknown. Those at the end are left out
// and the others are no piece of any text, as in llama.cpp, which has no way to merge up to them.
func TestGGUFUnknownFillers(t *testing.T) {
	meta, err := toy(t, DefaultParts()).GGUF(12)
	require.NoError(t, err)
	types := meta[ggufTypes].([]int32)
	require.Equal(t, []int32{int32(Unused), int32(Unused), int32(Unused)}, types[9:])
	types[8], types[9], types[10], types[11] = int32(Unknown), int32(Unknown), int32(Unknown), int32(Unknown)
	for _, key := range []any{meta[ggufUNK], nil} { // files without the key too
		meta[ggufUNK] = key
		tok, err := LoadGGUF(writeMeta(t, meta))
		require.NoError(t, err)
		assert.Equal(t, 9, tok.VocabSize())
		assert.Equal(t, int32(0), tok.UNK())
		assert.Equal(t, Unused, tok.Type(8))
		assert.Equal(t, []int32{6, 0}, tok.Encode("ab"))
	}
}
