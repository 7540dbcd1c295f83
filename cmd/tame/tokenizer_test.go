package main

import (
	"bytes"
	"compress/gzip"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// The same text gives the same tokenizer, whatever it comes from.
func TestTokenizerTrainInputs(t *testing.T) {
	text := strings.Repeat("the cat sat on the mat<|endoftext|>a dog sat on a log\n<|endoftext|>\n<|endoftext|>the dog\nand the cat", 9)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	dir := t.TempDir()
	rows := filepath.Join(dir, "rows.arrow")
	var texts []data.Text
	for part := range strings.SplitSeq(text, "<|endoftext|>") {
		if strings.TrimSpace(part) != "" {
			texts = append(texts, data.Text{Text: part})
		}
	}
	require.NoError(t, data.Write(rows, texts, data.Lineage{}))

	var models []string
	for name, in := range map[string]string{
		"plain": file(t, "a.txt", text), "gzip": file(t, "b.txt.gz", packed.String()), "arrow": rows, "stdin": "-",
	} {
		out := filepath.Join(dir, name+".model")
		lines, err := tame(t, text, "tokenizer", "train", "--vocab-size", "285", in, out)
		require.NoError(t, err, name)
		assert.Regexp(t, `^285 pieces from 19 documents, `, lines[0], name)
		raw, err := os.ReadFile(out)
		require.NoError(t, err)
		models = append(models, string(raw))
	}
	for _, m := range models {
		assert.Equal(t, models[0], m)
	}
	for want, in := range map[string]string{
		"no such file": filepath.Join(dir, "missing.txt"), "gzip": file(t, "c.txt.gz", "a text that is not packed"), "no rows": file(t, "d.txt", "<|endoftext|> \n"),
		"is no Arrow dataset": file(t, "e.jsonl", "{}"),
	} {
		_, err := tame(t, "", "tokenizer", "train", "--vocab-size", "285", in, filepath.Join(dir, "bad.model"))
		assert.ErrorContains(t, err, want)
		assert.NoFileExists(t, filepath.Join(dir, "bad.model"))
	}
}

// To tokenizer.json and back the tokenizer stays the same, and every form of it is found.
func TestTokenizerConvert(t *testing.T) {
	dir := t.TempDir()
	text := file(t, "cats.txt", strings.Repeat("the cat sat on the mat. a dog sat on a log. [INST]\n", 8))
	first, folder, second := filepath.Join(dir, "a.model"), filepath.Join(dir, "hf"), filepath.Join(dir, "b.model")
	mustRun(t, "tokenizer", "train", "--vocab-size", "285", text, first)
	assert.Contains(t, mustRun(t, "tokenizer", "convert", first, folder), "285 pieces")
	mustRun(t, "tokenizer", "convert", folder, second)
	in := `{"text": "[INST] the  log, é <s> "}`
	want, err := tame(t, in, "tokenize", "--tokenizer", first)
	require.NoError(t, err)
	for _, path := range []string{second, folder, filepath.Join(folder, "tokenizer.json")} {
		got, err := tame(t, in, "tokenize", "--tokenizer", path)
		require.NoError(t, err)
		assert.Equal(t, want, got, path)
	}
	special, err := tame(t, in, "tokenize", "--tokenizer", folder, "--special")
	require.NoError(t, err)
	assert.Contains(t, special[0], ",1,", "<s> is BOS")
	assert.NotContains(t, want[0], ",1,")

	_, err = tame(t, "", "tokenizer", "convert", first, folder)
	assert.ErrorContains(t, err, "already exists")
	_, err = tame(t, "", "tokenizer", "convert", dir, filepath.Join(t.TempDir(), "x"))
	assert.ErrorContains(t, err, "neither a tokenizer.model nor a tokenizer.json")
	for _, args := range [][]string{{"tokenizer", "convert", "", filepath.Join(dir, "x")}, {"tokenize", "--tokenizer", ""}} {
		_, err = tame(t, in, args...) // a variable of the shell that is not set
		assert.ErrorIs(t, err, fs.ErrNotExist, args[0])
	}
}

// A byte-level tokenizer is a folder that convert takes apart again, and has only its own settings.
func TestTokenizerTrainByteLevel(t *testing.T) {
	dir := t.TempDir()
	text := file(t, "cats.txt", strings.Repeat("the cat sat on the mat. a dog sat on a log, 1234 times. [INST]\n", 8))
	out := filepath.Join(dir, "bytes")
	assert.Contains(t, mustRun(t, "tokenizer", "train", "--kind", "bytelevel", "--pattern", "qwen2", "--vocab-size", "285", text, out), "285 pieces from 1 documents")
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json"} {
		assert.FileExists(t, filepath.Join(out, name))
	}
	mustRun(t, "tokenizer", "convert", out, filepath.Join(dir, "again"))
	in := `{"text": "[INST] the  log, é <|end_of_text|> 12"}`
	want, err := tame(t, in, "tokenize", "--tokenizer", out)
	require.NoError(t, err)
	got, err := tame(t, in, "tokenize", "--tokenizer", filepath.Join(dir, "again"))
	require.NoError(t, err)
	assert.Equal(t, want, got)
	for want, args := range map[string][]string{
		`--kind is "bpe", want sentencepiece or bytelevel`:     {"--kind", "bpe", text, filepath.Join(dir, "x")},
		"--nfkc is a setting of --kind sentencepiece":          {"--kind", "bytelevel", "--nfkc", text, filepath.Join(dir, "x")},
		"--pattern is a setting of --kind bytelevel":           {"--pattern", "qwen2", text, filepath.Join(dir, "x.model")},
		"is a folder, not a .model file":                       {"--kind", "bytelevel", text, filepath.Join(dir, "x.model")},
		"Pattern is cl100k, want one of":                       {"--kind", "bytelevel", "--pattern", "cl100k", text, filepath.Join(dir, "x")},
		"VocabSize is 32000, want at most":                     {"--kind", "bytelevel", text, filepath.Join(dir, "x")},
		"it is byte-level BPE, which a SentencePiece model ca": nil,
	} {
		args = append([]string{"tokenizer", "train"}, args...)
		if len(args) == 2 {
			args = []string{"tokenizer", "convert", out, filepath.Join(dir, "x.model")}
		}
		_, err := tame(t, "", args...)
		assert.ErrorContains(t, err, want)
		assert.NoFileExists(t, args[len(args)-1])
	}
}

// A prompt begins with BOS where the tokenizer's files say so, and with the text's own ids elsewhere.
func TestPromptWithoutBOS(t *testing.T) {
	p, err := model.Load(languageModel(t))
	require.NoError(t, err)
	cfg := tokenizer.DefaultByteLevelConfig()
	cfg.VocabSize = 270
	with, err := tokenizer.TrainByteLevel(t.Context(), slices.Values([]string{"the cat and the hat and the mat"}), cfg)
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, with.SaveHuggingFace(dir))
	config, err := os.ReadFile(filepath.Join(dir, "tokenizer_config.json"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tokenizer_config.json"), bytes.Replace(config, []byte(`"add_bos_token": true`), []byte(`"add_bos_token": false`), 1), 0o644))
	without, err := tokenizer.Load(dir)
	require.NoError(t, err)
	prompt := "the hat"
	for tok, want := range map[*tokenizer.Tokenizer][]int32{with: append([]int32{p.Config().BOS}, with.Encode(prompt)...), without: with.Encode(prompt)} {
		got, err := promptIDs(p, tok, generateInput{Prompt: &prompt}, nil)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
}
