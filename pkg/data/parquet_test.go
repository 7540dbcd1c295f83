package data_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/golden"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/importer"
)

func parquetRoundTrip[T data.Row](t *testing.T, rows []T) {
	t.Run(rows[0].Schema().Name, func(t *testing.T) {
		for _, c := range []data.Compression{data.DefaultCompression, data.NoCompression, data.Zstd} {
			path := filepath.Join(t.TempDir(), "x.parquet")
			require.NoError(t, data.WriteCompressed(path, all(rows), lineage, c))
			got, gotLineage, err := data.Read[T](path)
			require.NoError(t, err)
			assert.Equal(t, rows, got)
			assert.Equal(t, lineage, gotLineage)
			gotLineage, err = data.ReadLineage(path)
			require.NoError(t, err)
			assert.Equal(t, lineage, gotLineage)
		}
	})
}

func all[T any](rows []T) func(yield func(T, error) bool) {
	return func(yield func(T, error) bool) {
		for _, row := range rows {
			if !yield(row, nil) {
				return
			}
		}
	}
}

func TestParquetRoundTrip(t *testing.T) {
	parquetRoundTrip(t, texts)
	parquetRoundTrip(t, prompts)
	parquetRoundTrip(t, conversations)
	parquetRoundTrip(t, preferences)
	parquetRoundTrip(t, samples)
	parquetRoundTrip(t, everyKind)
}

func TestParquetManyGroups(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.parquet")
	rows := make([]data.Conversation, 40000)
	for i := range rows {
		rows[i] = data.Conversation{Messages: dialog(fmt.Sprint("question ", i), strings.Repeat("x", i%7)+"answer"), Source: "s"}
	}
	require.NoError(t, data.Write(path, rows, data.Lineage{}))
	r, err := data.Open[data.Conversation](path)
	require.NoError(t, err)
	defer r.Close()
	n, err := r.Len()
	require.NoError(t, err)
	assert.Equal(t, len(rows), n)
	for range 2 {
		i := 0
		for row, err := range r.Rows() {
			require.NoError(t, err)
			require.Equal(t, rows[i], row)
			i++
		}
		assert.Equal(t, len(rows), i)
	}
	assert.ErrorContains(t, data.WriteCompressed(path, all(texts), lineage, data.LZ4), "choose zstd or none")
	assert.ErrorContains(t, data.WriteCompressed(path, all(texts), lineage, 9), "unknown compression 9")
}

func TestArrowCompression(t *testing.T) {
	rows := []data.Text{{Text: strings.Repeat("hello ", 1000)}, {Text: "b"}}
	dir := t.TempDir()
	size := map[data.Compression]int64{}
	for _, c := range []data.Compression{data.DefaultCompression, data.NoCompression, data.LZ4, data.Zstd} {
		path := filepath.Join(dir, c.String()+".arrow")
		require.NoError(t, data.WriteCompressed(path, all(rows), lineage, c))
		got, _, err := data.Read[data.Text](path)
		require.NoError(t, err)
		assert.Equal(t, rows, got)
		info, err := os.Stat(path)
		require.NoError(t, err)
		size[c] = info.Size()
	}
	assert.Equal(t, size[data.Zstd], size[data.DefaultCompression])
	assert.Less(t, size[data.LZ4], size[data.NoCompression]/2)
	assert.Less(t, size[data.Zstd], size[data.NoCompression]/2)
}

// Whatever happens to a Parquet file, reading it gives rows or an error that names it, never a panic.
func TestDamagedParquet(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.parquet")
	require.NoError(t, data.WriteCompressed(path, all(samples), lineage, data.NoCompression))
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	damage(t, path, whole, 211, 37, 0x01, 0x80, 0xff)
}

// Files of the Parquet project itself, in all encodings: each is read, and holds none of our rows.
func TestReadParquetSamples(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(golden.SharedDir(t), "parquet_samples", "*.parquet"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		_, _, err := data.Read[data.Text](file)
		assert.ErrorContains(t, err, filepath.Base(file))
		_, err = importer.Open([]string{file}, nil, importer.DefaultConfig())
		assert.ErrorContains(t, err, "no known dialect")
	}
}

// Other programs read what is written here, with the same values.
func TestOthersReadOurs(t *testing.T) {
	dir := t.TempDir()
	arrow, lz4, parquet := filepath.Join(dir, "x.arrow"), filepath.Join(dir, "lz4.arrow"), filepath.Join(dir, "x.parquet")
	require.NoError(t, data.Write(arrow, samples, lineage))
	require.NoError(t, data.WriteCompressed(lz4, all(samples), lineage, data.LZ4))
	require.NoError(t, data.Write(parquet, samples, lineage))
	want := `[{"combined": null, "finished": true, "helpfulness": -1.5, "log_probs": [-0.25, -1.0000000116860974e-07], ` +
		`"messages": [{"content": "Hi", "role": "user"}], "prompt": [1, 5, 6], "prompt_id": "a", "safety": 0.0, "temperature": 1.2, "text": "Hello", ` +
		`"tokens": [7, 2], "version": 3}, {"combined": -1e+308, "finished": false, "helpfulness": null, "log_probs": [], ` +
		`"messages": [{"content": "Hi", "role": "user"}], "prompt": [1], "prompt_id": "a", "safety": null, "temperature": 0.0, "text": "", ` +
		`"tokens": [], "version": 0}]`
	t.Run("pyarrow", func(t *testing.T) {
		const program = `
import json, sys, pyarrow.ipc as ipc, pyarrow.parquet as pq
def clean(rows):
    for r in rows:
        r["combined"] = None if r["combined"] is None else max(r["combined"], -1e308)
    return json.dumps(rows, sort_keys=True)
for path in sys.argv[1:]:
    t = pq.read_table(path) if path.endswith(".parquet") else ipc.open_file(path).read_all()
    print(t.schema.metadata[b"tame.schema"].decode(), clean(t.to_pylist()))
try:
    import duckdb
    rows = duckdb.sql("select * from read_parquet('%s')" % sys.argv[-1])
    if rows is not None:
        assert clean([dict(zip(rows.columns, r)) for r in rows.fetchall()]) == clean(t.to_pylist()), "duckdb reads other values"
except ImportError:
    pass
`
		for _, python := range []string{"python3", "python"} {
			if exec.Command(python, "-c", "import pyarrow.parquet").Run() != nil {
				continue
			}
			got, err := exec.Command(python, "-c", program, arrow, lz4, parquet).CombinedOutput()
			require.NoError(t, err, "%s", got)
			assert.Equal(t, strings.Repeat("sample "+want+"\n", 3), string(got))
			return
		}
		t.Skip("no Python with pyarrow on the path")
	})
	t.Run("duckdb", func(t *testing.T) {
		if _, err := exec.LookPath("duckdb"); err != nil {
			t.Skip("no duckdb on the path")
		}
		got, err := exec.Command("duckdb", "-json", "-c", "select prompt_id, messages, tokens, version, safety from read_parquet('"+parquet+"') where helpfulness is not null").Output()
		require.NoError(t, err)
		var rows []map[string]any
		require.NoError(t, json.Unmarshal(bytes.TrimSpace(got), &rows))
		require.Len(t, rows, 1)
		assert.Equal(t, "a", rows[0]["prompt_id"])
		assert.EqualValues(t, 3, rows[0]["version"])
		assert.EqualValues(t, 0, rows[0]["safety"])
	})
}
