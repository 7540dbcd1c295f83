package parquet

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	pq "github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/compress"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Row groups without rows, which have no pages, are skipped. pyarrow 26.0.1 wrote the files: groups of 0, 2, 0 and 2 rows,
// one group of none, no group.
func TestEmptyGroups(t *testing.T) {
	for name, want := range map[string][]string{"groups": {"a", "b", "a", "b"}, "rows": nil, "no_group": nil} {
		raw, err := os.ReadFile("testdata/empty/" + name + ".parquet")
		require.NoError(t, err)
		f, err := openBytes(raw, memory.DefaultAllocator)
		require.NoError(t, err)
		got, err := texts(f)
		require.NoError(t, err, name)
		assert.Equal(t, want, got, name)
	}
	// Whatever an empty group says of its columns, or if it says nothing.
	f, err := openBytes(writeTexts(t, true, []string{"a"}, []string{"b"}, []string{"c"}), memory.DefaultAllocator)
	require.NoError(t, err)
	f.groups[1][3] = int64(0)
	delete(f.groups[1], 1)
	got, err := texts(f)
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "c"}, got)
}

// A page without values holds nothing that could be damaged, and one of nulls alone no values, whatever its encoding.
func TestEmptyPages(t *testing.T) {
	leaf := &node{name: "x", repetition: optional, def: 1, physical: physicalInt32}
	for _, encoding := range []int64{encodingPlain, encodingDict, encodingDelta, encodingSplit} {
		d, err := newDecoder(leaf, encoding, nil, nil)
		require.NoError(t, err, encoding)
		_, err = d.next()
		assert.ErrorIs(t, err, errPage)
	}
	for codec := range int64(8) {
		c := &column{n: leaf, codec: codec, held: new(int64), left: 1}
		require.NoError(t, c.dataPage(thriftStruct{1: int64(0)}, nil, 0))
		require.NoError(t, c.dataPageV2(thriftStruct{1: int64(0)}, nil, 0))
		require.NoError(t, c.dictionary(thriftStruct{1: int64(0)}, nil, 0), codec)
		assert.Empty(t, c.dict)
		assert.EqualValues(t, 1, c.left)
	}
}

// Texts that shrink to less than a hundredth are no damage.
func TestPacksWell(t *testing.T) {
	want := []string{strings.Repeat("once more ", 1<<18), "end"}
	for _, codec := range []compress.Compression{compress.Codecs.Brotli, compress.Codecs.Gzip, compress.Codecs.Zstd, compress.Codecs.Snappy} {
		var b bytes.Buffer
		w, err := pqarrow.NewFileWriter(textSchema, &b, pq.NewWriterProperties(pq.WithCompression(codec)), pqarrow.DefaultWriterProps())
		require.NoError(t, err)
		r := array.NewRecordBuilder(memory.DefaultAllocator, textSchema)
		r.Field(0).(*array.StringBuilder).AppendValues(want, nil)
		require.NoError(t, w.Write(r.NewRecord()))
		require.NoError(t, w.Close())
		f, err := openBytes(b.Bytes(), memory.DefaultAllocator)
		require.NoError(t, err)
		got, err := texts(f)
		require.NoError(t, err, codec)
		assert.Equal(t, want, got)
	}
}

// Pages and descriptions are refused by the name of the limit before memory is taken for them.
func TestLimits(t *testing.T) {
	c := &column{n: &node{name: "x"}, held: new(int64)}
	require.NoError(t, c.hold(maxPages))
	require.NoError(t, c.hold(1), "in place of the one before")
	other := &column{n: c.n, held: c.held}
	assert.ErrorContains(t, other.hold(maxPages), "its pages take 384 MiB with those of the other columns, at most 384 are read")

	structs := append([]byte("\x19\xfc\x80\x80\x80\x01"), make([]byte, 2<<20)...) // a list of two million structs without fields
	_, _, err := parseThrift(structs)
	assert.ErrorIs(t, err, errLarge)
}
