package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// readReport reads a report and compares its SHA-256 with those of the files.
func readReport(t *testing.T, path string) (r filesReport) {
	t.Helper()
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &r))
	for _, f := range append(r.Read, r.Written...) {
		raw, err := os.ReadFile(f.File)
		require.NoError(t, err)
		sum := sha256.Sum256(raw)
		assert.Equal(t, hex.EncodeToString(sum[:]), f.SHA256, f.File)
	}
	return r
}

func bases(files []fileSum) (names []string) {
	for _, f := range files {
		names = append(names, filepath.Base(f.File))
	}
	return names
}

// A conversion of a model says which files, tensors and keys it has used, and what it has written.
func TestReportOfModel(t *testing.T) {
	in, dir := languageModel(t), t.TempDir()
	config := filepath.Join(in, "config.json")
	raw, err := os.ReadFile(config)
	require.NoError(t, err)
	for path, text := range map[string]string{
		config: strings.Replace(string(raw), "{", `{"unheard_of": 7, "use_cache": true, `, 1),
		filepath.Join(in, "generation_config.json"): `{"eos_token_id": 2, "temperature": 0.6}`,
		filepath.Join(in, "chat_template.jinja"):    "{{ messages }}",
		filepath.Join(in, "README.md"):              "read me",
	} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	require.NoError(t, os.Remove(filepath.Join(in, "SHA256SUMS")))
	report := filepath.Join(dir, "report.json")
	text := mustRun(t, "convert", "model", in, filepath.Join(dir, "m.bin"), "--report", report)
	assert.Contains(t, text, "1 keys of config.json are not used: unheard_of")
	assert.Contains(t, text, "left out: the chat template")
	r := readReport(t, report)
	assert.ElementsMatch(t, []string{"config.json", "generation_config.json", "model.safetensors", "tokenizer.model", "chat_template.jinja"}, bases(r.Read))
	var others []string
	for _, path := range r.NotRead {
		others = append(others, filepath.Base(path))
	}
	assert.Contains(t, others, "README.md")
	assert.ElementsMatch(t, []string{"m.bin", "m.tokenizer.model"}, bases(r.Written))
	assert.Equal(t, "hf", r.Model.Form)
	assert.Equal(t, "llama2c", r.Model.WrittenForm)
	assert.Subset(t, r.Model.UnusedKeys, []string{"unheard_of", "use_cache"})
	assert.NotContains(t, r.Model.UnusedKeys, "hidden_size")
	assert.True(t, r.Tokenizer.ChatTemplate)
	assert.Len(t, r.LeftOut, 1)

	for _, form := range []string{"gguf", "meta", "hf"} {
		out, report := filepath.Join(dir, form+"."+form), filepath.Join(dir, form+".json")
		mustRun(t, "convert", "model", filepath.Join(dir, "m.bin"), out, "--to", form, "--report", report)
		r := readReport(t, report)
		assert.Equal(t, []string{"m.bin"}, bases(r.Read))
		assert.Equal(t, form, r.Model.WrittenForm)
		assert.NotEmpty(t, r.Written)
		back := filepath.Join(dir, form+"-back.json")
		mustRun(t, "convert", "model", out, filepath.Join(dir, form+"-back"), "--to", "hf", "--report", back)
		assert.Equal(t, form, readReport(t, back).Model.Form)
	}
}

func TestReportOfTokenizer(t *testing.T) {
	in, dir := languageModel(t), t.TempDir()
	report, out := filepath.Join(dir, "report.json"), filepath.Join(dir, "hf")
	mustRun(t, "tokenizer", "convert", in, out, "--report", report)
	r := readReport(t, report)
	assert.Equal(t, []string{"tokenizer.model"}, bases(r.Read))
	assert.ElementsMatch(t, []string{"tokenizer.json", "tokenizer_config.json", "chat_template.jinja"}, bases(r.Written))
	assert.Nil(t, r.Model)
	assert.Equal(t, 290, r.Tokenizer.Pieces)

	require.NoError(t, os.WriteFile(filepath.Join(out, "chat_template.jinja"), []byte("{{ messages }}"), 0o644))
	again := filepath.Join(dir, "again")
	mustRun(t, "tokenizer", "convert", out, again)
	kept, err := os.ReadFile(filepath.Join(again, "chat_template.jinja"))
	require.NoError(t, err)
	assert.Equal(t, "{{ messages }}", string(kept))

	text := mustRun(t, "tokenizer", "convert", out, filepath.Join(dir, "t.model"), "--report", filepath.Join(dir, "back.json"))
	assert.Contains(t, text, "left out: the chat template")
	assert.Equal(t, []string{"tokenizer.json", "tokenizer_config.json", "chat_template.jinja"}, bases(readReport(t, filepath.Join(dir, "back.json")).Read))
}

// What tokenizer.Reads lists is what tokenizer.Load reads: damage to each of the files shows, and to no other.
func TestFilesOfTokenizers(t *testing.T) {
	in, hf := languageModel(t), filepath.Join(t.TempDir(), "hf")
	mustRun(t, "tokenizer", "convert", in, hf)
	for _, dir := range []string{in, hf} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "special_tokens_map.json"), []byte(`{"bos_token": "<s>"}`), 0o644))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "added_tokens.json"), []byte(`{}`), 0o644))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "chat_template.jinja"), []byte(`x`), 0o644))
		reads, err := tokenizer.Reads(dir)
		require.NoError(t, err)
		want, err := tokenizer.Load(dir)
		require.NoError(t, err)
		for _, name := range []string{"tokenizer.model", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja", "config.json"} {
			path := filepath.Join(dir, name)
			raw, err := os.ReadFile(path)
			if err != nil {
				continue
			}
			require.NoError(t, os.WriteFile(path, []byte("{"), 0o644))
			got, err := tokenizer.Load(dir)
			changed := err != nil || got.ChatTemplate() != want.ChatTemplate()
			require.NoError(t, os.WriteFile(path, raw, 0o644))
			listed := false
			for _, r := range reads {
				listed = listed || r == name
			}
			assert.Equal(t, listed, changed, "%s of %v", name, reads)
		}
	}
}
