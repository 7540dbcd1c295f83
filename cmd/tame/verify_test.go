package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/checksum"
	"github.com/tame-rlhf/tame/pkg/data"
)

// flip flips the lowest bit of the byte in the middle of a file.
func flip(t *testing.T, path string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	raw[len(raw)/2] ^= 1
	require.NoError(t, os.WriteFile(path, raw, 0o644))
}

func TestVerify(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	start, chat := languageModel(t), chatModel(t)
	mustRun(t, "convert", "model", start, at("copy"))
	mustRun(t, "convert", "model", start, at("a.gguf"))
	mustRun(t, "convert", "model", chat, at("chat"))
	demos := conversations(t, 4)
	text := mustRun(t, "verify", at("copy"), at("copy/model.safetensors"), start, at("a.gguf"), demos)
	assert.Contains(t, text, at("copy")+": 8 files are as they were written\n")
	assert.Contains(t, text, at("copy/model.safetensors")+": as it was written\n")
	assert.Contains(t, text, at("a.gguf")+": names, shapes and types fit a model of")
	assert.Contains(t, text, demos+": 4 rows can be read; no SHA-256 is recorded\n")
	assert.Contains(t, text, start+": what "+at("copy")+" was made from")

	// A file that people add is told.
	require.NoError(t, os.WriteFile(at("copy/README.md"), nil, 0o644))
	assert.Contains(t, mustRun(t, "verify", at("copy")), "not recorded, so not compared: README.md")

	flip(t, at("copy/model.safetensors"))
	_, err := tame(t, "", "verify", at("copy"), at("copy/model.safetensors"))
	assert.ErrorIs(t, err, checksum.ErrDamaged)
	assert.ErrorContains(t, err, "model.safetensors has other bytes")
	assert.ErrorContains(t, err, "other bytes than its SHA256SUMS says")

	// A stage refuses the model by the file's name before it trains.
	flip(t, at("chat/model.safetensors"))
	_, err = tame(t, "", "sft", "--set", "model="+at("chat"), "--set", "data=["+demos+"]", "--set", "output="+at("out"))
	assert.ErrorContains(t, err, "model.safetensors has other bytes: put back a copy or make it again")
	assert.ErrorContains(t, err, "delete "+at("chat/SHA256SUMS"))
	assert.NoDirExists(t, at("out.checkpoint"))
	require.NoError(t, os.Remove(at("copy/SHA256SUMS")))
	_, err = data.Fingerprint(t.Context(), at("copy"))
	assert.NoError(t, err, "whoever changed it on purpose goes on as the error says")

	// An input that is not the one that was read.
	require.NoError(t, os.Remove(at("copy/README.md")))
	flip(t, demos)
	_, err = tame(t, "", "verify", demos)
	assert.ErrorContains(t, err, "damaged")
	_, err = tame(t, "", "verify", at("nowhere"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}
