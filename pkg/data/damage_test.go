package data_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/golden"
	"github.com/tame-rlhf/tame/pkg/data"
)

// Whatever happens to a file, reading it gives rows or an error that names it, never a panic.
func TestDamagedFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.arrow")
	require.NoError(t, data.Write(path, samples, lineage))
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	try := damage(t, path, whole, 31, 7, 0x80, 0xff)
	footer := len(whole) - 10 - int(binary.LittleEndian.Uint32(whole[len(whole)-10:]))
	for i := (footer + 3) &^ 3; i+4 <= len(whole); i += 4 { // wherever a length is, it is gigantic
		damaged := append([]byte{}, whole...)
		binary.LittleEndian.PutUint32(damaged[i:], 0x70000000)
		_ = try(damaged)
	}
}

// damage cuts a file of samples off at every cut-th byte, leaves that byte out, and flips bits in every step-th one. It gives what it reads a damaged file with.
func damage(t *testing.T, path string, whole []byte, cut, step int, flips ...byte) (try func(damaged []byte) error) {
	t.Helper()
	try = func(damaged []byte) error {
		require.NoError(t, os.WriteFile(path, damaged, 0o644))
		_, _, err := data.Read[data.Sample](path)
		if err != nil {
			assert.ErrorContains(t, err, path)
		}
		return err
	}
	for size := 0; size < len(whole); size += cut {
		assert.Error(t, try(whole[:size]), "cut off at %d", size)
		_ = try(append(append([]byte{}, whole[:size]...), whole[size+1:]...)) // a byte is missing
	}
	refused, tried := 0, 0
	for i := 0; i < len(whole); i += step {
		for _, flip := range flips {
			damaged := append([]byte{}, whole...)
			damaged[i] ^= flip
			tried++
			if try(damaged) != nil {
				refused++
			}
		}
	}
	assert.Greater(t, refused, tried/8)
	return try
}

// A flipped bit in what the rows hold is an error by default: Zstandard's frames have a checksum.
func TestFlippedBitsInRows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.arrow")
	rng := rand.New(rand.NewPCG(1, 2))
	rows := make([]data.Sample, 200)
	for i := range rows {
		rows[i] = data.Sample{PromptID: fmt.Sprint(i), Messages: samples[0].Messages, Prompt: []int32{1, 5}, Text: "Hello"}
		for range 30 {
			rows[i].Tokens = append(rows[i].Tokens, rng.Int32N(32000))
			rows[i].LogProbs = append(rows[i].LogProbs, -rng.Float32())
		}
	}
	require.NoError(t, data.Write(path, rows, lineage))
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	seen, first := 0, len(whole)/4 // after the description of the columns
	for i := first; i < first+len(whole)/2; i += 97 {
		damaged := append([]byte{}, whole...)
		damaged[i] ^= 1 << (i % 8)
		require.NoError(t, os.WriteFile(path, damaged, 0o644))
		got, _, err := data.Read[data.Sample](path)
		if err != nil {
			seen++
			continue
		}
		require.True(t, reflect.DeepEqual(rows, got), "byte %d", i) // else it is padding
	}
	assert.Greater(t, seen, 200)
}

func FuzzRead(f *testing.F) {
	path := filepath.Join(f.TempDir(), "x.arrow")
	require.NoError(f, data.Write(path, samples, lineage))
	whole, err := os.ReadFile(path)
	require.NoError(f, err)
	f.Add(whole)
	f.Fuzz(func(t *testing.T, raw []byte) {
		path := filepath.Join(t.TempDir(), "x.arrow")
		require.NoError(t, os.WriteFile(path, raw, 0o644))
		_, _, _ = data.Read[data.Sample](path)
	})
}

// Files of the Arrow project itself: none holds our rows, and each says so.
func TestReadArrowSamples(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(golden.SharedDir(t), "arrow_samples", "generated_*"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		_, _, err := data.Read[data.Text](file)
		assert.ErrorContains(t, err, filepath.Base(file))
	}
}

func TestFingerprint(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a")
	require.NoError(t, os.WriteFile(file, []byte("abc"), 0o644))
	got, err := data.Fingerprint(t.Context(), file)
	require.NoError(t, err)
	// FIPS 180-2, appendix B.1.
	assert.Equal(t, "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", got)

	before, err := data.Fingerprint(t.Context(), dir)
	require.NoError(t, err)
	require.NoError(t, os.Rename(file, filepath.Join(dir, "b")))
	after, err := data.Fingerprint(t.Context(), dir)
	require.NoError(t, err)
	assert.NotEqual(t, before, after, "the name counts")

	var l data.Lineage
	require.NoError(t, l.Add(t.Context(), filepath.Join(dir, "b")))
	assert.Equal(t, []data.Input{{Name: "b", Fingerprint: got}}, l.Inputs)
	_, err = data.Fingerprint(t.Context(), filepath.Join(dir, "none"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}
