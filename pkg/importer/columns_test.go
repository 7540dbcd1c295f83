package importer

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
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
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
	raw, err := os.ReadFile("../../internal/parquet/testdata/rows.jsonl")
	require.NoError(t, err)
	var want []map[string]any
	for line := range strings.SplitSeq(strings.TrimSpace(string(raw)), "\n") {
		want = append(want, decoded(t, []byte(line)))
	}
	files, err := filepath.Glob("../../internal/parquet/testdata/*.parquet")
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
	rows, _, err := data.Read[data.Text](path)
	require.NoError(t, err)
	assert.Equal(t, []data.Text{{Text: "one"}, {Text: "two"}, {Text: "three"}}, rows)
	assert.Equal(t, []map[string]any{{"text": "one"}, {"text": "two"}, {"text": "three"}}, columnsOf(t, path))
	for size := 4; size < len(whole)-8; size++ { // without the last marker it is whole
		require.NoError(t, os.WriteFile(path, whole[:size], 0o644))
		rows, _, err := data.Read[data.Text](path)
		if err == nil {
			assert.Less(t, len(rows), 3, "cut off at %d, between batches", size)
		}
	}
	for i := range whole {
		damaged := bytes.Clone(whole)
		damaged[i] ^= 0xff
		require.NoError(t, os.WriteFile(path, damaged, 0o644))
		_, _, _ = data.Read[data.Text](path)
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

// Columns of the extension type arrow.json hold what their texts say, in Arrow files and in Parquet (as pyarrow 26.0.1 wrote
// it); one that is not valid JSON stays a text.
func TestJSONColumns(t *testing.T) {
	const list = `[{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]`
	want := decoded(t, []byte(`{"messages": `+list+`}`))
	assert.Equal(t, []map[string]any{want, want}, columnsOf(t, "../../internal/parquet/testdata/json/messages.parquet"))

	metadata := arrow.NewMetadata([]string{ipc.ExtensionTypeKeyName}, []string{"arrow.json"})
	text := arrow.Field{Name: "item", Type: arrow.BinaryTypes.String, Metadata: metadata}
	schema := arrow.NewSchema([]arrow.Field{{Name: "x", Type: arrow.ListOfField(text)}}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	x := b.Field(0).(*array.ListBuilder)
	x.Append(true)
	x.ValueBuilder().(*array.StringBuilder).AppendValues([]string{list, "[1", `"a"`}, nil)
	path := filepath.Join(t.TempDir(), "x.arrow")
	file, err := os.Create(path)
	require.NoError(t, err)
	defer file.Close()
	w, err := ipc.NewFileWriter(file, ipc.WithSchema(schema))
	require.NoError(t, err)
	require.NoError(t, w.Write(b.NewRecord()))
	require.NoError(t, w.Close())
	assert.Equal(t, []map[string]any{decoded(t, []byte(`{"x": [`+list+`, "[1", "a"]}`))}, columnsOf(t, path))
}
