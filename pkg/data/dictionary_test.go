package data_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
)

// Rows with the same entry of a dictionary share its memory: a file of a megabyte may have a thousand rows of one.
func TestDictionaryTexts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.arrow")
	file, err := os.Create(path)
	require.NoError(t, err)
	schema := arrow.NewSchema([]arrow.Field{{Name: "text", Type: &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}}}, nil)
	w, err := ipc.NewFileWriter(file, ipc.WithSchema(schema))
	require.NoError(t, err)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	want := []string{strings.Repeat("long ", 1000), "short", strings.Repeat("long ", 1000)}
	for range 2 {
		for _, text := range want {
			require.NoError(t, b.Field(0).(*array.BinaryDictionaryBuilder).AppendString(text))
		}
	}
	require.NoError(t, w.Write(b.NewRecord()))
	require.NoError(t, w.Close())
	rows, _, err := data.Read[data.Text](path)
	require.NoError(t, err)
	require.Len(t, rows, 6)
	for i, row := range rows {
		assert.Equal(t, want[i%3], row.Text)
	}
	assert.Same(t, unsafe.StringData(rows[0].Text), unsafe.StringData(rows[5].Text))
}
