package parquet

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var textSchema = arrow.NewSchema([]arrow.Field{{Name: "text", Type: arrow.BinaryTypes.String}}, nil)

// writeTexts writes a file with a row group for each list of texts.
func writeTexts(t testing.TB, zstandard bool, groups ...[]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, textSchema, zstandard, memory.DefaultAllocator)
	require.NoError(t, err)
	for _, texts := range groups {
		r := array.NewRecordBuilder(memory.DefaultAllocator, textSchema)
		r.Field(0).(*array.StringBuilder).AppendValues(texts, nil)
		require.NoError(t, w.Write(r.NewRecord()))
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func openBytes(raw []byte, mem memory.Allocator) (*File, error) {
	return Open(bytes.NewReader(raw), int64(len(raw)), mem)
}

// texts reads the first column of all records.
func texts(f *File) (all []string, err error) {
	for next := f.Records(); ; {
		rec, err := next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		column := rec.Column(0)
		for i := range column.Len() {
			all = append(all, column.ValueStr(i))
		}
		rec.Release()
	}
}

func TestRoundTrip(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	for _, zstandard := range []bool{false, true} {
		f, err := openBytes(writeTexts(t, zstandard, []string{"one", "", "three"}, []string{"four"}), mem)
		require.NoError(t, err)
		assert.Equal(t, 4, f.NumRows())
		assert.Zero(t, f.Progress())
		for range 2 {
			got, err := texts(f)
			require.NoError(t, err)
			assert.Equal(t, []string{"one", "", "three", "four"}, got)
			assert.EqualValues(t, 1, f.Progress())
		}
	}
}

// Memory is taken for as many rows as NumRows says, so a file is not believed to have more than it could hold.
func TestClaimsRows(t *testing.T) {
	f, err := openBytes(writeTexts(t, true, []string{"a"}, []string{"b"}), memory.DefaultAllocator)
	require.NoError(t, err)
	assert.Equal(t, 2, f.NumRows())
	f.groups[0][3] = int64(1) << 60
	assert.Equal(t, -1, f.NumRows())
	_, err = texts(f)
	assert.ErrorContains(t, err, `column "text" has fewer rows than the row group`)
}

// Files that pyarrow wrote, with other encodings and compressions, hold the same rows.
func TestEncodingsAgree(t *testing.T) {
	files, err := filepath.Glob("testdata/*.parquet")
	require.NoError(t, err)
	require.Len(t, files, 4)
	var first arrow.Record
	for _, name := range files {
		raw, err := os.ReadFile(name)
		require.NoError(t, err)
		f, err := openBytes(raw, memory.DefaultAllocator)
		require.NoError(t, err, name)
		assert.Equal(t, 40, f.NumRows(), name)
		rec, err := f.Records()()
		require.NoError(t, err, name)
		if first == nil {
			first = rec
		}
		assert.True(t, array.RecordEqual(first, rec), name)
	}
	// Values that rows.jsonl has.
	u64 := first.Column(first.Schema().FieldIndices("u64")[0]).(*array.Uint64)
	assert.Equal(t, []uint64{1 << 63, 1<<63 + 1}, u64.Uint64Values()[:2])
	f := first.Column(first.Schema().FieldIndices("f")[0]).(*array.Float64)
	assert.Equal(t, []float64{-1, -0.875}, f.Float64Values()[:2])
}

// Whatever happens to a file, reading it gives records or an error, never a panic.
func TestDamaged(t *testing.T) {
	whole := writeTexts(t, false, []string{"one", "two"}, []string{"three"})
	try := func(raw []byte) error {
		f, err := openBytes(raw, memory.DefaultAllocator)
		if err == nil {
			_, err = texts(f)
		}
		return err
	}
	require.NoError(t, try(whole))
	for i := range whole {
		assert.Error(t, try(whole[:i]), "cut off at %d", i)
		for _, flip := range []byte{0x01, 0x80, 0xff} {
			damaged := bytes.Clone(whole)
			damaged[i] ^= flip
			_ = try(damaged)
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(writeTexts(f, true, []string{"one", "two"}, []string{"three"}))
	files, err := filepath.Glob("testdata/*.parquet")
	require.NoError(f, err)
	for _, name := range files {
		raw, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		file, err := openBytes(raw, memory.DefaultAllocator)
		if err != nil {
			return
		}
		next := file.Records()
		for rows := int64(0); rows < 5000; { // a file may claim endless rows of nothing
			rec, err := next()
			if err != nil {
				return
			}
			rows += rec.NumRows()
			rec.Release()
		}
	})
}
