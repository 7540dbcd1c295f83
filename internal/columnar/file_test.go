package columnar_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/columnar"
	"github.com/tame-rlhf/tame/internal/parquet"
)

var (
	metadata = arrow.NewMetadata([]string{"who"}, []string{"tame"})
	schema   = arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int32}}, &metadata)
)

type recordWriter interface {
	Write(arrow.Record) error
	Close() error
}

// write writes 1, 2 and 3 in two records.
func write(t *testing.T, format string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x")
	file, err := os.Create(path)
	require.NoError(t, err)
	defer file.Close()
	var w recordWriter
	switch format {
	case "arrow":
		w, err = ipc.NewFileWriter(file, ipc.WithSchema(schema))
	case "stream":
		w = ipc.NewWriter(file, ipc.WithSchema(schema))
	case "parquet":
		w, err = parquet.NewWriter(file, schema, true, memory.DefaultAllocator)
	}
	require.NoError(t, err)
	for _, numbers := range [][]int32{{1, 2}, {3}} {
		b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
		b.Field(0).(*array.Int32Builder).AppendValues(numbers, nil)
		require.NoError(t, w.Write(b.NewRecord()))
	}
	require.NoError(t, w.Close())
	return path
}

func read(path string, mem memory.Allocator) (numbers []int32, err error) {
	f, err := columnar.Open(path, mem)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for next := f.Records(); ; {
		err := columnar.Guard(func() error {
			rec, err := next()
			if err == nil {
				defer rec.Release()
				numbers = append(numbers, rec.Column(0).(*array.Int32).Int32Values()...)
			}
			return err
		})
		if err == io.EOF {
			return numbers, nil
		}
		if err != nil {
			return numbers, err
		}
	}
}

func TestFormats(t *testing.T) {
	for format, rows := range map[string]int{"arrow": -1, "stream": -1, "parquet": 3} {
		mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
		path := write(t, format)
		is, err := columnar.Is(path)
		require.NoError(t, err)
		assert.True(t, is, format)
		meta, err := columnar.Metadata(path)
		require.NoError(t, err)
		assert.GreaterOrEqual(t, meta.FindKey("who"), 0, format)
		for range 2 {
			numbers, err := read(path, mem)
			require.NoError(t, err, format)
			assert.Equal(t, []int32{1, 2, 3}, numbers, format)
		}
		mem.AssertSize(t, 0)

		f, err := columnar.Open(path, mem)
		require.NoError(t, err)
		assert.Equal(t, rows, f.NumRows(), format)
		next := f.Records()
		for err == nil {
			var rec arrow.Record
			if rec, err = next(); err == nil {
				rec.Release()
			}
		}
		info, errStat := os.Stat(path)
		require.NoError(t, errStat)
		assert.Equal(t, info.Size(), f.BytesRead(), format)
		require.NoError(t, f.Close())
	}
}

// Whatever happens to a file, reading it gives records or an error that names it, never a panic.
func TestDamaged(t *testing.T) {
	for _, format := range []string{"arrow", "stream", "parquet"} {
		path := write(t, format)
		whole, err := os.ReadFile(path)
		require.NoError(t, err)
		for i := range whole {
			damaged := bytes.Clone(whole)
			damaged[i] ^= 0xff
			require.NoError(t, os.WriteFile(path, damaged, 0o644))
			_, _ = read(path, memory.DefaultAllocator)
		}
		require.NoError(t, os.WriteFile(path, whole[:len(whole)/2], 0o644))
		_, err = columnar.Open(path, memory.DefaultAllocator)
		if format != "stream" { // whose records may all be there
			assert.ErrorContains(t, err, path+": ", format)
		}
	}
}

func TestOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	require.NoError(t, os.WriteFile(path, []byte(`{"text": "a"}`), 0o644))
	for path, want := range map[string]string{
		path:               "is no Arrow or Parquet file",
		filepath.Dir(path): "is not a regular file",
	} {
		is, err := columnar.Is(path)
		assert.NoError(t, err)
		assert.False(t, is)
		_, err = columnar.Open(path, memory.DefaultAllocator)
		assert.ErrorContains(t, err, path+": "+want)
	}
	_, err := columnar.Open(path+"none", memory.DefaultAllocator)
	assert.ErrorIs(t, err, os.ErrNotExist)
}
