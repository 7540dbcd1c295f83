package tokenizer

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// withoutAdded is a variant without the added tokens that are not special, which GGUF files cannot have.
func withoutAdded(t testing.TB, name string, change func(file map[string]any)) *Tokenizer {
	t.Helper()
	for _, v := range readByteVariants(t).Variants {
		if v.Name != name {
			continue
		}
		var file map[string]any
		require.NoError(t, json.Unmarshal(v.File, &file))
		file["added_tokens"] = slices.DeleteFunc(file["added_tokens"].([]any), func(a any) bool { return !a.(map[string]any)["special"].(bool) })
		if change != nil {
			change(file)
		}
		raw, err := json.Marshal(file)
		require.NoError(t, err)
		tok, err := parseHugging(raw, []byte(`{"bos_token":"<|begin|>","eos_token":"<|end|>","pad_token":null}`))
		require.NoError(t, err)
		return tok
	}
	t.Fatalf("there is no variant %s", name)
	return nil
}

// A byte-level tokenizer gives the same ids after it went through a GGUF file, and after that through a folder.
func TestByteLevelGGUF(t *testing.T) {
	f := readByteVariants(t)
	for name, pre := range map[string]string{"gpt2": "gpt-2", "smollm": "smollm", "llama3": "llama-bpe", "qwen2": "qwen2"} {
		t.Run(name, func(t *testing.T) {
			tok := withoutAdded(t, name, nil)
			meta, err := tok.GGUF(tok.VocabSize() + 5)
			require.NoError(t, err)
			assert.Equal(t, pre, meta[ggufPre])
			assert.Equal(t, []any{uint32(0), uint32(1), nil, nil}, []any{meta[ggufBOS], meta[ggufEOS], meta[ggufPAD], meta[ggufScores]})
			back, err := LoadGGUF(writeMeta(t, meta))
			require.NoError(t, err)
			dir := t.TempDir()
			require.NoError(t, back.SaveFolder(dir))
			folder, err := Load(dir)
			require.NoError(t, err)
			for _, other := range []*Tokenizer{back, folder} {
				assert.Equal(t, tok.Pieces(), other.Pieces())
				assert.Equal(t, []any{tok.BOS(), tok.EOS(), tok.PAD(), tok.AddsBOS(), tok.AddsEOS()},
					[]any{other.BOS(), other.EOS(), other.PAD(), other.AddsBOS(), other.AddsEOS()})
				for _, text := range f.Texts {
					require.Equal(t, tok.Encode(text), other.Encode(text), "%q", text)
					require.Equal(t, tok.EncodeSpecial(text), other.EncodeSpecial(text), "%q", text)
				}
			}
		})
	}
}

// What a GGUF file cannot say is refused when it is written, and what is not known when it is read.
func TestByteLevelGGUFRefuses(t *testing.T) {
	for want, tok := range map[string]*Tokenizer{
		"its pre_tokenizer is none of":        byteVariant(t, "deepseek"),
		"its pre_tokenizer is none of [":      byteVariant(t, "prefix"),
		"its pre_tokenizer is none of [\"":    byteVariant(t, "normalizer ByteLevel"),
		`become "<unk>", which llama.cpp`:     byteVariant(t, "unknown"),
		"the added token":                     byteVariant(t, "llama3"),
		"its normalizer is not the one":       withoutAdded(t, "qwen2", func(file map[string]any) { file["normalizer"] = nil }),
		"its normalizer is not the one of ll": withoutAdded(t, "gpt2", func(file map[string]any) { file["normalizer"] = map[string]string{"type": "NFD"} }),
		"ignore_merges is true, and llama.cpp": withoutAdded(t, "shuffled, ignore_merges", func(file map[string]any) {
			model := file["model"].(map[string]any)
			model["merges"] = model["merges"].([]any)[:50]
		}),
	} {
		_, err := tok.GGUF(1000)
		assert.ErrorContains(t, err, want, want)
	}
	tok := withoutAdded(t, "gpt2", nil)
	_, err := tok.GGUF(100)
	assert.ErrorContains(t, err, "600 pieces for a model of 100 ids")
	good, err := tok.GGUF(600)
	require.NoError(t, err)
	for want, change := range map[string]map[string]any{
		"tokenizer.ggml.merges is missing":             {ggufMerges: nil},
		"600 tokens and 2 types":                       {ggufTypes: []int32{1, 1}},
		`tokenizer.ggml.pre is "jais", which says how`: {ggufPre: "jais"},
		`tokenizer.ggml.pre is "", which says how`:     {ggufPre: nil},
		"add_space_prefix is true":                     {ggufSpacePrefix: true},
		`merge 0: "a" is not two pieces`:               {ggufMerges: []string{"a"}},
		`merges[0]: "a" is not in the vocabulary`:      {ggufTokens: slices.Repeat([]string{""}, 600), ggufMerges: []string{"a b"}},
		"both":                                 {ggufTokens: slices.Repeat([]string{"a"}, 600)},
		"has the type 6, want 1, 2, 3, 4 or 5": {ggufTypes: slices.Repeat([]int32{6}, 600)},
	} {
		bad := maps.Clone(good)
		maps.Copy(bad, change)
		_, err := LoadGGUF(writeMeta(t, bad))
		assert.ErrorContains(t, err, want)
	}
}
