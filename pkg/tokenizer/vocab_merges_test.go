package tokenizer

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// oldFiles are the vocab.json and merges.txt of a variant, with its special tokens in added_tokens.json.
func oldFiles(t *testing.T, name string) (tok *Tokenizer, files map[string]string) {
	tok = byteVariant(t, name)
	vocab := make(map[string]int32)
	for text, id := range tok.hugging.vocab {
		vocab[text] = id
	}
	raw, err := json.Marshal(vocab)
	require.NoError(t, err)
	return tok, map[string]string{vocabFile: string(raw), mergesFile: "#version: 0.2\n" + strings.Join(tok.mergeLines(), "\n") + "\n"}
}

func writeFiles(t *testing.T, files map[string]string) string {
	dir := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

// The two old files give the ids of the new one, with what the files next to them say.
func TestVocabMerges(t *testing.T) {
	want, files := oldFiles(t, "gpt2")
	dir := writeFiles(t, files)
	found, err := Find(dir)
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(dir, vocabFile), found)
	f := readByteVariants(t)
	for name, config := range map[string]string{"none": "", "GPT-2": `{"tokenizer_class":"GPT2TokenizerFast","bos_token":"<|begin|>","eos_token":{"content":"<|end|>"},"add_bos_token":true,
		"added_tokens_decoder":{"2":{"content":"<|im_start|>","special":true},"3":{"content":"<|im_end|>","special":true}}}`} {
		t.Run(name, func(t *testing.T) {
			all := maps.Clone(files)
			if config != "" {
				all[huggingConfig] = config
			}
			tok, err := Load(writeFiles(t, all))
			require.NoError(t, err)
			for _, text := range f.Texts {
				require.Equal(t, want.Encode(text), tok.Encode(text), "%q", text)
				if config != "" {
					require.Equal(t, want.EncodeSpecial(text), tok.EncodeSpecial(text), "%q", text)
				}
			}
			assert.Equal(t, config != "", tok.AddsBOS())
			if config == "" {
				return
			}
			assert.Equal(t, []int32{0, 1, -1}, []int32{tok.BOS(), tok.EOS(), tok.PAD()})
			again := t.TempDir()
			require.NoError(t, tok.SaveFolder(again))
			back, err := Load(again)
			require.NoError(t, err)
			assert.Equal(t, tok.Pieces(), back.Pieces())
			assert.Equal(t, want.EncodeSpecial("a <|im_end|>"), back.EncodeSpecial("a <|im_end|>"))
			assert.True(t, back.AddsBOS())
		})
	}
	prefix, err := Load(writeFiles(t, map[string]string{vocabFile: files[vocabFile], mergesFile: files[mergesFile], huggingConfig: `{"tokenizer_class":"GPT2Tokenizer","add_prefix_space":true}`}))
	require.NoError(t, err)
	assert.Equal(t, want.Encode(" the"), prefix.Encode("the"))

	// Qwen2's class has its pattern and NFC.
	want, files = oldFiles(t, "qwen2")
	files[huggingConfig] = `{"tokenizer_class":"Qwen2Tokenizer"}`
	tok, err := Load(writeFiles(t, files))
	require.NoError(t, err)
	for _, text := range []string{"x12345 don't DON'T\n\n  y", "cafe\u0301 A\u030a"} {
		assert.Equal(t, want.Encode(text), tok.Encode(text), "%q", text)
	}
}

func TestVocabMergesRefused(t *testing.T) {
	_, files := oldFiles(t, "gpt2")
	for want, change := range map[string][2]string{
		`tokenizer_class is "RobertaTokenizer", and how`:     {huggingConfig, `{"tokenizer_class":"RobertaTokenizer"}`},
		"merges.txt is missing":                              {mergesFile, ""},
		`merges.txt: merge 1: "b" is not two pieces`:         {mergesFile, "Ġ t\nb\n"},
		`merges.txt: merge 0: "a b c" is not two pieces`:     {mergesFile, "a b c\n"},
		"vocab.json: want an object":                         {vocabFile, "[]"},
		"vocab.json: the vocabulary is empty":                {vocabFile, "{}"},
		`added_tokens.json adds "<x>" with the id 700`:       {addedTokensFile, `{"<x>":700}`},
		`added_tokens.json: "<|end|>" has the id 600, and 1`: {addedTokensFile, `{"<|end|>":600}`},
	} {
		all := maps.Clone(files)
		if all[change[0]] = change[1]; change[1] == "" {
			delete(all, change[0])
		}
		_, err := Load(writeFiles(t, all))
		assert.ErrorContains(t, err, want)
	}
}

// Tokens of the files next to a tokenizer.json are added to it, and the folder that is written has them.
func TestAddedBesideHugging(t *testing.T) {
	var file json.RawMessage
	for _, v := range readByteVariants(t).Variants {
		if v.Name == "gpt2" {
			file = v.File
		}
	}
	dir := writeFiles(t, map[string]string{
		huggingTokenizer: string(file), addedTokensFile: `{"<a>":600,"<b>":601}`, modelFile: "not read",
		huggingConfig: `{"added_tokens_decoder":{"601":{"content":"<b>","special":true},"602":{"content":"<c>","lstrip":true}},"eos_token":"<|end|>"}`,
	})
	tok, err := Load(dir)
	require.NoError(t, err)
	again := t.TempDir()
	require.NoError(t, tok.SaveFolder(again))
	back, err := Load(again)
	require.NoError(t, err)
	for _, tok := range []*Tokenizer{tok, back} {
		assert.Equal(t, 603, tok.VocabSize())
		assert.Equal(t, []int32{600}, tok.Encode("<a>"))
		assert.NotContains(t, tok.Encode("<b>"), int32(601))
		assert.Equal(t, []int32{601, 602}, tok.EncodeSpecial("<b> <c>"))
	}
}
