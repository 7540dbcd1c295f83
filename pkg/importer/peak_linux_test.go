package importer_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/importer"
)

// peakOf names the file that a child of this test imports, so that its memory is that of one file.
const peakOf = "TAME_TEST_PEAK_OF"

// Files that are small and unpack to much take a bounded amount of memory: they are read, or refused by the name of the limit.
func TestPeakMemory(t *testing.T) {
	if path := os.Getenv(peakOf); path != "" {
		fmt.Println(importAway(path))
		status, err := os.ReadFile("/proc/self/status")
		require.NoError(t, err)
		fmt.Println(string(status))
		return
	}
	if testing.Short() {
		t.Skip("takes seconds")
	}
	dir := t.TempDir()
	const mib = 1 << 20
	for _, c := range []struct {
		name, begin, fill string
		times             int
		want              string
		most              int // MiB
	}{
		{"line.jsonl.gz", `{"text": "`, strings.Repeat("x", mib), 66, "longer than 64 MiB", 450},
		{"element.json.gz", `[{"text": "`, strings.Repeat("x", mib), 66, "broken: unexpected EOF", 450},
		{"row.jsonl.gz", `{"more": 1, "text": "`, strings.Repeat("x", mib), 8, "unexpected end of JSON input", 150},
		{"document.txt.gz", "", strings.Repeat("x", mib), 130, "a document is longer than 128 MiB", 600},
		{"quote.csv.gz", "text\na\n\"", strings.Repeat("x", mib), 66, "longer than 64 MiB", 450},
		{"columns.csv.gz", "text", strings.Repeat(",c", 10000), 100, "it has 1000001 columns, at most 10000 are read", 150},
		{"keys.jsonl.gz", `{"text":"a"`, strings.Repeat(`,"k":0`, mib/6), 12, "more than 1048576 values in a row", 150},
		{"deep.jsonl.gz", `{"text": `, strings.Repeat("[", mib), 8, "more than 1048576 values in a row", 150},
		{"number.jsonl.gz", `{"text": "a", "n": `, strings.Repeat("9", mib), 8, "unexpected end of JSON input", 150},
	} {
		path := filepath.Join(dir, c.name)
		var b bytes.Buffer // each part by itself: gzip files may be put together
		b.WriteString(zip(t, c.begin))
		b.WriteString(strings.Repeat(zip(t, c.fill), c.times))
		require.NoError(t, os.WriteFile(path, b.Bytes(), 0o644))
		peak(t, path, c.want, c.most)
	}
	text := strings.Repeat("x", mib)
	path := filepath.Join(dir, "dictionary.arrow")
	writeTexts(t, path, &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}, text, 1024)
	peak(t, path, "1024 rows", 250)
	path = filepath.Join(dir, "small.arrow")
	writeTexts(t, path, arrow.BinaryTypes.String, text, 40)
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Less(t, info.Size(), int64(mib), "it packs to less than a hundredth")
	peak(t, path, "40 rows", 300)
}

// writeTexts writes one batch of equal texts, packed.
func writeTexts(t *testing.T, path string, of arrow.DataType, text string, rows int) {
	file, err := os.Create(path)
	require.NoError(t, err)
	defer file.Close()
	schema := arrow.NewSchema([]arrow.Field{{Name: "text", Type: of}}, nil)
	w, err := ipc.NewFileWriter(file, ipc.WithSchema(schema), ipc.WithZstd(), ipc.WithCompressConcurrency(1))
	require.NoError(t, err)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	for range rows {
		switch b := b.Field(0).(type) {
		case *array.StringBuilder:
			b.Append(text)
		case *array.BinaryDictionaryBuilder:
			require.NoError(t, b.AppendString(text))
		}
	}
	require.NoError(t, w.Write(b.NewRecord()))
	require.NoError(t, w.Close())
}

// importAway reads all rows of a file, as texts where they are no other.
func importAway(path string) string {
	im, err := importer.Open([]string{path}, nil, importer.DefaultConfig())
	if err != nil {
		return err.Error()
	}
	for _, err := range importer.Rows[data.Text](context.Background(), im) {
		if err != nil {
			return err.Error()
		}
	}
	return im.Report().String() + " rows"
}

// peak imports a file in a process of its own.
func peak(t *testing.T, path, want string, most int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestPeakMemory$")
	cmd.Env = append(os.Environ(), peakOf+"="+path)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Contains(t, string(out), want, path)
	found := regexp.MustCompile(`VmHWM:\s*([0-9]+) kB`).FindSubmatch(out) // not the rusage, which begins with this process's
	require.NotNil(t, found)
	kib, err := strconv.Atoi(string(found[1]))
	require.NoError(t, err)
	got := kib >> 10
	t.Logf("%s: %d MiB", filepath.Base(path), got)
	assert.LessOrEqual(t, got, most, "%s: MiB", path)
}
