package data

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/klauspost/compress/s2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func columnsOf(t *testing.T, path string) (rows []map[string]any) {
	t.Helper()
	var read int64
	for row, err := range columnRows(path, &read) {
		require.NoError(t, err)
		rows = append(rows, decoded(t, row.raw))
	}
	return rows
}

// decoded keeps numbers as they are written: some need 64 bits.
func decoded(t *testing.T, raw []byte) (row map[string]any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	require.NoError(t, d.Decode(&row), "%s", raw)
	return plainNumbers(row).(map[string]any)
}

// plainNumbers writes 1.0 and 1 the same way.
func plainNumbers(x any) any {
	switch x := x.(type) {
	case map[string]any:
		for k := range x {
			x[k] = plainNumbers(x[k])
		}
	case []any:
		for i := range x {
			x[i] = plainNumbers(x[i])
		}
	case json.Number:
		return json.Number(strings.TrimSuffix(x.String(), ".0"))
	}
	return x
}

// Files of another program in all encodings, with nested columns of all kinds: pyarrow says what is in them.
func TestParquetOfOthers(t *testing.T) {
	raw, err := os.ReadFile("testdata/parquet/rows.jsonl")
	require.NoError(t, err)
	var want []map[string]any
	for line := range strings.SplitSeq(strings.TrimSpace(string(raw)), "\n") {
		want = append(want, decoded(t, []byte(line)))
	}
	files, err := filepath.Glob("testdata/parquet/*.parquet")
	require.NoError(t, err)
	require.Len(t, files, 4)
	for _, file := range files {
		assert.Equal(t, want, columnsOf(t, file), file)
	}
}

// A stream is read like a file, and one that is damaged is refused before memory is taken for what it claims.
func TestArrowStream(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.arrow")
	whole := stream(t)
	require.NoError(t, os.WriteFile(path, whole, 0o644))
	rows, _, err := Read[Text](path)
	require.NoError(t, err)
	assert.Equal(t, []Text{{"one"}, {"two"}, {"three"}}, rows)
	assert.Equal(t, []map[string]any{{"text": "one"}, {"text": "two"}, {"text": "three"}}, columnsOf(t, path))
	for size := 4; size < len(whole)-8; size++ { // without the last marker it is whole
		require.NoError(t, os.WriteFile(path, whole[:size], 0o644))
		rows, _, err := Read[Text](path)
		if err == nil {
			assert.Less(t, len(rows), 3, "cut off at %d, between batches", size)
		}
	}
	for i := range whole {
		damaged := bytes.Clone(whole)
		damaged[i] ^= 0xff
		require.NoError(t, os.WriteFile(path, damaged, 0o644))
		_, _, _ = Read[Text](path)
	}
}

func stream(t testing.TB) []byte {
	schema := arrow.NewSchema([]arrow.Field{{Name: "text", Type: arrow.BinaryTypes.String}}, nil)
	var b bytes.Buffer
	w := ipc.NewWriter(&b, ipc.WithSchema(schema))
	for _, batch := range [][]string{{"one", "two"}, {"three"}} {
		r := array.NewRecordBuilder(memory.DefaultAllocator, schema)
		for _, text := range batch {
			r.Field(0).(*array.StringBuilder).Append(text)
		}
		require.NoError(t, w.Write(r.NewRecord()))
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

// LZ4 blocks, by the examples of its description: literals only, a copy, a copy that overlaps what it writes.
func TestUnpackLZ4(t *testing.T) {
	for in, want := range map[string]string{
		"\x30abc":                            "abc",
		"\x32abc\x03\x00\x10x":               "abcabcabcx",
		"\x1fa\x01\x00\x00\x00":              strings.Repeat("a", 20),
		"\xf0\x01" + strings.Repeat("b", 16): strings.Repeat("b", 16),
	} {
		got, err := unpackLZ4([]byte(in), len(want))
		require.NoError(t, err, "%q", in)
		assert.Equal(t, want, string(got))
		_, err = unpackLZ4([]byte(in), len(want)-1)
		assert.Error(t, err)
	}
	for _, damaged := range []string{"\x40abc", "\x11a\x02\x00", "\x11a\x00\x00", "\x11a\x01", "\xff", "\x1fa\x01\x00\xff"} {
		_, err := unpackLZ4([]byte(damaged), 1000)
		assert.Error(t, err, "%q", damaged)
	}
}

// A page cannot claim more memory than it may.
func TestUnpackBombs(t *testing.T) {
	zeros := make([]byte, 1<<20)
	c := &pqColumn{codec: 1}
	_, err := c.unpack(s2.EncodeSnappy(nil, zeros), 10)
	assert.Error(t, err)
	_, err = c.unpack([]byte("\xff\xff\xff\xff\x0f"), 1<<32-1)
	assert.Error(t, err)
	c.codec = 6
	_, err = c.unpack(zstdZeros(t, 64<<20), 1000)
	assert.ErrorContains(t, err, "unpacks to other than the 1000 bytes")
	_, err = c.unpack([]byte("no"), 1000)
	assert.Error(t, err)
	c.codec = 4
	_, err = c.unpack(nil, 0)
	assert.ErrorContains(t, err, "compressed with Brotli (4)")
}

// Thrift that claims more than there is.
func TestThriftBombs(t *testing.T) {
	for _, raw := range []string{"\x19\xfc\xff\xff\xff\xff\x07", "\x18\xff\xff\xff\xff\x07", "\x1b\xff\xff\xff\xff\x07\x88", strings.Repeat("\x1c", 100), "\x19\x99" + strings.Repeat("\x19", 100), ""} {
		_, _, err := parseThrift([]byte(raw))
		assert.ErrorIs(t, err, errThrift, "%q", raw)
	}
}

// Numbers packed with differences, by the example of the format's description: 7, 5, 3, 1, 2, 3, 4, 5.
func TestDelta(t *testing.T) {
	// Blocks of 128 in 4 small ones, 8 values, first 7; least difference -2, then widths 2 0 0 0 and the rest of each
	// difference in 2 bits: 0 0 0 3 3 3 3.
	raw := append([]byte("\x80\x01\x04\x08\x0e\x03\x02\x00\x00\x00\xc0\x3f"), make([]byte, 6)...)
	d, err := newDelta(append(raw, "rest"...))
	require.NoError(t, err)
	again := *d
	for _, want := range []int64{7, 5, 3, 1, 2, 3, 4, 5} {
		got, err := d.next()
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	_, err = d.next()
	assert.ErrorIs(t, err, errPage)
	rest, err := again.rest()
	require.NoError(t, err)
	assert.Equal(t, "rest", string(rest))
}

// Conversations of others hardly ever say where they are from.
func TestOptionalColumn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.arrow")
	messages := []Message{{User, "Hi"}, {Assistant, "Hello"}}
	require.NoError(t, Write(path, []bareConversation{{messages}}, Lineage{}))
	rows, _, err := Read[Conversation](path)
	require.NoError(t, err)
	assert.Equal(t, []Conversation{{Messages: messages}}, rows)
}

type bareConversation struct {
	Messages []Message `arrow:"messages"`
}

func (bareConversation) Schema() Schema { return Conversation{}.Schema() }

// Memory is taken for as many rows as Len says, so a file is not believed to have more than it could hold.
func TestParquetClaimsRows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.parquet")
	require.NoError(t, Write(path, []Text{{"a"}, {"b"}}, Lineage{}))
	r, err := Open[Text](path)
	require.NoError(t, err)
	defer r.Close()
	n, err := r.Len()
	require.NoError(t, err)
	assert.Equal(t, 2, n)
	r.source.(*parquetFile).groups[0][3] = int64(1) << 60
	_, err = r.Len()
	assert.ErrorContains(t, err, `column "text" has fewer rows than the row group`)
}
