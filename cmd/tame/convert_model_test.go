package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// languageModel writes a small random language model with a tokenizer of its own.
func languageModel(t *testing.T) string {
	t.Helper()
	from, dir := tinyModel(t), filepath.Join(t.TempDir(), "lm")
	p, tok, err := model.LoadWithTokenizer(from, "")
	require.NoError(t, err)
	p.DropHead()
	require.NoError(t, model.Save(dir, p, func(tmp string) error { return tok.Save(filepath.Join(tmp, tokenizerFile)) }))
	return dir
}

// From a folder to every other form and back: the same bytes, where 32 bits are kept.
func TestConvertModelThere(t *testing.T) {
	in, dir := languageModel(t), t.TempDir()
	for _, c := range []struct {
		out       string
		flags     []string
		tokenizer string // that goes along
	}{
		{"m.gguf", nil, ""},
		{"a.bin", []string{"--to", "gguf"}, ""},
		{"m.bin", nil, "m.tokenizer.model"},
		{"meta", []string{"--to", "meta"}, ""},
		{"hf", []string{"--dtype", "F32"}, ""},
	} {
		out, back := filepath.Join(dir, c.out), filepath.Join(dir, "back-"+c.out)
		text := mustRun(t, append([]string{"convert", "model", in, out}, c.flags...)...)
		assert.Contains(t, text, "as F32, with a tokenizer of 290 pieces")
		args := []string{"convert", "model", out, back, "--to", "hf"}
		if c.tokenizer != "" {
			args = append(args, "--tokenizer", filepath.Join(dir, c.tokenizer))
		}
		assert.Contains(t, mustRun(t, args...), "with a tokenizer of 290 pieces", c.out)
		want, err := model.Load(in)
		require.NoError(t, err)
		got, err := model.Load(back)
		require.NoError(t, err)
		for i, q := range want.All() {
			assert.Equal(t, q.Value.Data(), got.All()[i].Value.Data(), "%s %s", c.out, q.Name)
		}
		wantTok, err := tokenizer.Load(filepath.Join(in, tokenizerFile))
		require.NoError(t, err)
		gotTok, err := tokenizer.Load(filepath.Join(back, tokenizerFile))
		require.NoError(t, err)
		assert.Equal(t, wantTok.Pieces(), gotTok.Pieces())
		assert.Equal(t, wantTok.Parts(), gotTok.Parts())
	}
}

func TestConvertModelSmaller(t *testing.T) {
	in, dir := languageModel(t), t.TempDir()
	sizes := map[string]int64{}
	for _, c := range [][]string{{"f32.gguf", "f32"}, {"f16.gguf", "f16"}, {"q8.gguf", "q8_0"}, {"hf", "bf16"}, {"meta", "bf16", "--to", "meta"}} {
		out := filepath.Join(dir, c[0])
		mustRun(t, append([]string{"convert", "model", in, out, "--dtype", c[1]}, c[2:]...)...)
		_, err := model.Load(out)
		require.NoError(t, err)
		stat, err := os.Stat(out)
		require.NoError(t, err)
		sizes[c[0]] = stat.Size()
	}
	assert.Less(t, sizes["f16.gguf"], sizes["f32.gguf"])
	assert.Less(t, sizes["q8.gguf"], sizes["f16.gguf"])
}

func TestConvertModelRefuses(t *testing.T) {
	in, dir := languageModel(t), t.TempDir()
	for _, c := range []struct {
		want string
		args []string
	}{
		{`--to is "onnx", want one of hf, gguf, llama2c, meta`, []string{"m", "--to", "onnx"}},
		{`--dtype is "q8_0", the form hf has f32, f16, bf16`, []string{"m", "--dtype", "q8_0"}},
		{`--dtype is "q4_k", the form gguf has f32, f16, q8_0`, []string{"m.gguf", "--dtype", "q4_k"}},
		{`--dtype is "f16", the form llama2c has f32`, []string{"m.BIN", "--dtype", "f16"}},
	} {
		_, err := tame(t, "", append([]string{"convert", "model", in, filepath.Join(dir, c.args[0])}, c.args[1:]...)...)
		assert.ErrorContains(t, err, c.want)
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, left)

	beside := filepath.Join(dir, "m.tokenizer.model")
	require.NoError(t, os.WriteFile(beside, nil, 0o600))
	_, err = tame(t, "", "convert", "model", in, filepath.Join(dir, "m.bin"))
	assert.ErrorContains(t, err, beside+" already exists")
	_, err = tame(t, "", "convert", "model", tinyModel(t), filepath.Join(dir, "m.gguf"))
	assert.ErrorContains(t, err, "drop the scalar head")
	_, err = tame(t, "", "convert", "model", filepath.Join(dir, "none.gguf"), filepath.Join(dir, "m"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// A GGUF file needs nothing beside it: commands for text find the tokenizer in it.
func TestTextFromGGUF(t *testing.T) {
	in := languageModel(t)
	out := filepath.Join(t.TempDir(), "m.gguf")
	mustRun(t, "convert", "model", in, out)
	const ask = `{"prompt": "the cat"}` + "\n"
	want, err := tame(t, ask, "generate", "--model", in, "--max-new-tokens", "8")
	require.NoError(t, err)
	got, err := tame(t, ask, "generate", "--model", out, "--max-new-tokens", "8")
	require.NoError(t, err)
	assert.Equal(t, want, got)
	assert.NotContains(t, got[0], "error")
}
