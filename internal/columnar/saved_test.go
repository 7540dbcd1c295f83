package columnar_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/columnar"
)

// saveToDisk takes the place of the datasets library: a folder with these files of 1, 2 and 3.
func saveToDisk(t *testing.T, dir, state string, formats ...string) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o755))
	names := []string{}
	for i, format := range formats {
		name := fmt.Sprintf("data-%05d.arrow", i)
		require.NoError(t, os.Rename(write(t, format), filepath.Join(dir, name)))
		names = append(names, fmt.Sprintf(`{"filename": %q}`, name))
	}
	if state == "" {
		state = `{"_data_files": [` + strings.Join(names, ", ") + `], "_split": null}`
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "state.json"), []byte(state), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "dataset_info.json"), []byte("{}"), 0o644))
	return dir
}

// A folder of the datasets library is read like a file, its files in the order that it names.
func TestSaved(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	dir := saveToDisk(t, t.TempDir(), "", "stream", "arrow", "stream")
	is, err := columnar.Is(dir)
	require.NoError(t, err)
	assert.True(t, is)
	f, err := columnar.Open(dir, mem)
	require.NoError(t, err)
	for range 2 {
		rows := 0
		next := f.Records()
		for rec, err := next(); err == nil; rec, err = next() {
			rows += int(rec.NumRows())
			rec.Release()
		}
		assert.Equal(t, 9, rows)
		assert.EqualValues(t, 1, f.Progress())
		assert.Equal(t, f.Size(), f.BytesRead())
	}
	f.Records()
	require.NoError(t, f.Close())
	numbers, err := read(dir, mem)
	require.NoError(t, err)
	assert.Equal(t, []int32{1, 2, 3, 1, 2, 3, 1, 2, 3}, numbers)
}

func TestSavedRefused(t *testing.T) {
	dir := t.TempDir()
	splits := filepath.Join(dir, "splits")
	require.NoError(t, os.MkdirAll(splits, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(splits, "dataset_dict.json"), []byte(`{"splits": ["train", "test"]}`), 0o644))
	for folder, want := range map[string]string{
		splits: "name one of them: " + splits + "/train, " + splits + "/test",
		saveToDisk(t, filepath.Join(dir, "none"), `{"_data_files": []}`):                                                        "names no files in its state.json",
		saveToDisk(t, filepath.Join(dir, "out"), `{"_data_files": [{"filename": "../x"}]}`):                                     `names the file "../x" in its state.json, which is not in the folder`,
		saveToDisk(t, filepath.Join(dir, "gone"), `{"_data_files": [{"filename": "x"}]}`):                                       "no such file",
		saveToDisk(t, filepath.Join(dir, "map"), `{"_data_files": [{"filename": "x"}], "_indices_files": [{"filename": "y"}]}`): "save it again after flatten_indices()",
		saveToDisk(t, filepath.Join(dir, "bad"), `{"_data_files": 3}`):                                                          "state.json: ",
	} {
		_, err := columnar.Open(folder, memory.DefaultAllocator)
		assert.ErrorContains(t, err, folder)
		assert.ErrorContains(t, err, want)
	}
}
