package model

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/golden"
	"github.com/tame-rlhf/tame/pkg/model/internal/folder"
	"github.com/tame-rlhf/tame/pkg/model/internal/hf"
)

func TestSaveLoadRoundTrip(t *testing.T) {
	for name, cfg := range shapes() {
		p := randomParams(cfg, tensor.Float32, 31)
		dir := filepath.Join(t.TempDir(), "deep", "model")
		require.NoError(t, Save(dir, p, nil), name)
		got, err := Load(dir)
		require.NoError(t, err, name)
		assertSame(t, p, got)

		require.NoError(t, Save(dir, p.As(tensor.Float64), nil), "the same numbers")
		got, err = Load(dir)
		require.NoError(t, err)
		assertSame(t, p, got)

		p.DropHead()
		require.NoError(t, Save(dir, p, nil), "over the old one")
		got, err = Load(dir)
		require.NoError(t, err)
		assertSame(t, p, got)
		assertOnly(t, dir)
	}
	p := randomParams(tiny(), tensor.Float32, 32)
	p.DropOutput()
	dir := filepath.Join(t.TempDir(), "reward")
	require.NoError(t, Save(dir, p, nil))
	got, err := Load(dir)
	require.NoError(t, err)
	assertSame(t, p, got)
}

// What others wrote comes out again tensor by tensor.
func TestSaveKeepsTensors(t *testing.T) {
	for _, name := range goldenModels {
		dir := filepath.Join(t.TempDir(), "m")
		require.NoError(t, Save(dir, goldenModel(t, name), nil))
		want, err := ReadSafetensors(filepath.Join(golden.Dir(t), name, hf.WeightsFile))
		require.NoError(t, err)
		got, err := ReadSafetensors(filepath.Join(dir, hf.WeightsFile))
		require.NoError(t, err)
		assert.ElementsMatch(t, want, got)
	}
}

// assertOnly wants nothing beside the folder.
func assertOnly(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(dir))
	require.NoError(t, err)
	require.Len(t, entries, 1)
	assert.Equal(t, filepath.Base(dir), entries[0].Name())
}

func TestSaveExtras(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "m")
	p := randomParams(tiny(), tensor.Float32, 33)
	write := func(name string) func(string) error {
		return func(tmp string) error {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(tmp, name)), 0o777); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(tmp, name), []byte("x"), 0o600)
		}
	}
	require.NoError(t, Save(dir, p, write("tokenizer.model")))
	assert.FileExists(t, filepath.Join(dir, "tokenizer.model"))
	require.NoError(t, Save(dir, p, write("trainer/state")))
	assert.FileExists(t, filepath.Join(dir, "trainer", "state"))
	assert.NoFileExists(t, filepath.Join(dir, "tokenizer.model"), "nothing of the old one is left")
	assertOnly(t, dir)
}

func TestSaveFailureKeepsOld(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "m")
	old, p := randomParams(tiny(), tensor.Float32, 34), randomParams(tiny(), tensor.Float32, 35)
	require.NoError(t, Save(dir, old, nil))
	full := errors.New("no space left on device")
	intact := func(err error) {
		t.Helper()
		assert.ErrorIs(t, err, full)
		got, err := Load(dir)
		require.NoError(t, err)
		assertSame(t, old, got)
		assertOnly(t, dir)
	}
	failing := func(create folder.Create) error {
		return saveHF(dir, p, DefaultSaveConfig(), create, nil)
	}
	intact(Save(dir, p, func(string) error { return full }))
	for _, room := range []int{0, 10, 1000, 20_000} { // in config.json, in the header, among the numbers
		intact(failing(func(string) (folder.SyncWriter, error) { return &failingFile{room: room, err: full}, nil }))
	}
	intact(failing(func(string) (folder.SyncWriter, error) { return nil, full }))
	intact(failing(func(path string) (folder.SyncWriter, error) {
		f, err := os.Create(path)
		return failingSync{f, full}, err
	}))
}

// failingSync is a file whose data do not reach the disk.
type failingSync struct {
	*os.File
	err error
}

func (f failingSync) Sync() error { return f.err }

// Whatever instant a crash hits, the last complete checkpoint is found.
func TestSaveInterrupted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "m")
	old, p := randomParams(tiny(), tensor.Float32, 36), randomParams(tiny(), tensor.Float32, 37)
	require.NoError(t, Save(dir, old, nil))
	require.NoError(t, os.Rename(dir, folder.Aside(dir))) // between the two renames
	got, err := Load(dir)
	require.NoError(t, err)
	assertSame(t, old, got)

	require.NoError(t, os.Rename(dir, folder.Aside(dir)))
	assert.Error(t, Save(dir, p, func(string) error { return errors.New("and now an error") }))
	got, err = Load(dir)
	require.NoError(t, err)
	assertSame(t, old, got)

	require.NoError(t, os.Mkdir(folder.Aside(dir), 0o700)) // after them, before the old one is gone
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(dir), ".m.tmp"), []byte("left by a killed process"), 0o600))
	require.NoError(t, Save(dir, p, nil))
	got, err = Load(dir)
	require.NoError(t, err)
	assertSame(t, p, got)
	assertOnly(t, dir)
}

// A folder that is removed does not come back in parts, whatever was left beside it.
func TestRemove(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "m")
	p := randomParams(tiny(), tensor.Float32, 36)
	require.NoError(t, Save(folder.Aside(dir), p, nil))
	require.NoError(t, os.Remove(filepath.Join(folder.Aside(dir), hf.WeightsFile)))
	require.NoError(t, Save(dir, p, nil)) // discards what was aside
	require.NoError(t, Save(folder.Aside(dir), p, nil))
	require.NoError(t, Remove(dir))
	_, err := Load(dir)
	assert.ErrorIs(t, err, os.ErrNotExist)
	left, err := os.ReadDir(filepath.Dir(dir))
	require.NoError(t, err)
	assert.Empty(t, left)
	assert.NoError(t, Remove(dir), "there is nothing to remove")
}

func TestSaveSparesOtherFiles(t *testing.T) {
	p := randomParams(tiny(), tensor.Float32, 38)
	home := t.TempDir()
	file := filepath.Join(home, "thesis.tex")
	require.NoError(t, os.WriteFile(file, []byte("x"), 0o600))
	assert.ErrorContains(t, Save(home, p, nil), "is not replaced")
	assert.Error(t, Save(file, p, nil))
	assert.FileExists(t, file)

	target, link := filepath.Join(home, "target"), filepath.Join(home, "link")
	require.NoError(t, os.Mkdir(target, 0o700))
	require.NoError(t, os.Symlink(target, link))
	require.NoError(t, Save(link, p, nil), "an empty folder is fine, and links stay")
	got, err := Load(target)
	require.NoError(t, err)
	assertSame(t, p, got)
	stat, err := os.Lstat(link)
	require.NoError(t, err)
	assert.NotZero(t, stat.Mode()&os.ModeSymlink)
}

func TestLoadRefuses(t *testing.T) {
	dir := t.TempDir()
	_, err := Load(filepath.Join(dir, "none"))
	assert.ErrorIs(t, err, os.ErrNotExist)
	_, err = Load(dir)
	assert.ErrorContains(t, err, "config.json")
	other := filepath.Join(dir, "model.gguf")
	require.NoError(t, os.WriteFile(other, nil, 0o600))
	_, err = Load(other)
	assert.ErrorContains(t, err, "is none of: a folder with config.json")
	whole := filepath.Join(t.TempDir(), "m")
	require.NoError(t, Save(whole, NewParams(tiny(), tensor.Float32), nil))
	raw, err := os.ReadFile(filepath.Join(whole, hf.ConfigFile))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, hf.ConfigFile), raw, 0o600))
	_, err = Load(dir)
	assert.ErrorContains(t, err, "none of model.safetensors, model.safetensors.index.json, pytorch_model.bin and pytorch_model.bin.index.json")
	assert.Error(t, Save(filepath.Join(dir, "x"), NewParams(Config{}, tensor.Float32), nil))
}
