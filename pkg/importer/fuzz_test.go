package importer

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
)

// fuzzRows is where a file that claims endless rows of nothing is left alone.
const fuzzRows = 5000

// FuzzImport gives anything to every dialect, and to the recognition.
func FuzzImport(f *testing.F) {
	for _, row := range []string{
		`{"chosen": "\n\nHuman: Hi\n\nAssistant: a", "rejected": "\n\nHuman: Hi\n\nAssistant: b"}`,
		`[{"prompt": "Hi", "chosen": "a", "rejected": "b", "margin": 1}, {"prompt": [{"role": "user", "content": "Hi"}]}]`,
		`{"prompt": "Hi", "response_0": "a", "response_1": "b", "is_response_0_safe": false, "better_response_id": 0, "safer_response_id": 1}`,
		`{"instruction": "Hi", "completions": [{"response": "a", "overall_score": 6.0}, {"response": "b", "overall_score": 8.5}]}`,
		`{"text": "<extra_id_0>System\n\n<extra_id_1>User\nHi\n<extra_id_1>Assistant\na\n", "label": [0, 0, 0, 0, 1]}`,
		`{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "a"}]}`,
		`{"prompt": "Hi", "completion": "a", "label": true}` + "\n" + `{"prompt": "Hi", "completion": "b", "label": false}`,
		"\ufeff[\n{\"instruction\": \"a\", \"input\": \"\\\"[\", \"output\": \"b\"}\n,]",
	} {
		for i := range len(Dialects()) + 1 {
			f.Add([]byte(row), byte(i))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, dialect byte) {
		cfg := DefaultConfig()
		if all := Dialects(); int(dialect) < len(all) {
			cfg.As = all[dialect].Name
		}
		im, err := Open([]string{Stdin}, bytes.NewReader(raw), cfg)
		if err != nil {
			return
		}
		rows := 0
		switch im.Schema().Name {
		case "text":
			rows = drain[data.Text](im)
		case "prompt":
			rows = drain[data.Prompt](im)
		case "conversation":
			rows = drain[data.Conversation](im)
		case "preference":
			rows = drain[data.Preference](im)
		}
		if r := im.Report(); r.Rows != rows || r.Read < r.NumRefused() {
			t.Fatalf("%d rows, %+v", rows, r)
		}
	})
}

func drain[T data.Row](im *Import) (rows int) {
	for _, err := range Rows[T](context.Background(), im) {
		if err == nil {
			rows++
		}
	}
	return rows
}

func fuzzColumns(t *testing.T, name string, raw []byte) {
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, raw, 0o644))
	read, rows := int64(0), 0
	for range columnRows(path, &read) {
		if rows++; rows == fuzzRows {
			break
		}
	}
	if r, err := data.Open[data.Sample](path); err == nil {
		rows = 0
		for range r.Rows() {
			if rows++; rows == fuzzRows {
				break
			}
		}
		r.Close()
	}
	_, _ = data.ReadLineage(path)
}

func fuzzSamples() []data.Sample {
	x := 1.5
	return []data.Sample{{PromptID: "a", Messages: []data.Message{{Role: data.User, Content: "Hi"}}, Prompt: []int32{1, 2}, Tokens: []int32{7, 2}, LogProbs: []float32{-1, -2}, Text: "Hello", Safety: &x}}
}

// FuzzArrow reads anything that begins like an Arrow file or stream.
func FuzzArrow(f *testing.F) {
	path := filepath.Join(f.TempDir(), "x.arrow")
	for _, compression := range []data.Compression{data.NoCompression, data.LZ4, data.Zstd} {
		require.NoError(f, data.WriteCompressed(path, func(yield func(data.Sample, error) bool) { yield(fuzzSamples()[0], nil) }, data.Lineage{Stage: "x"}, compression))
		raw, err := os.ReadFile(path)
		require.NoError(f, err)
		f.Add(raw)
	}
	f.Add(stream(f))
	f.Fuzz(func(t *testing.T, raw []byte) { fuzzColumns(t, "x.arrow", raw) })
}

// FuzzParquet reads anything that begins like a Parquet file.
func FuzzParquet(f *testing.F) {
	path := filepath.Join(f.TempDir(), "x.parquet")
	for _, compression := range []data.Compression{data.NoCompression, data.Zstd} {
		require.NoError(f, data.WriteCompressed(path, func(yield func(data.Sample, error) bool) { yield(fuzzSamples()[0], nil) }, data.Lineage{Stage: "x"}, compression))
		raw, err := os.ReadFile(path)
		require.NoError(f, err)
		f.Add(raw)
	}
	files, err := filepath.Glob("../../internal/parquet/testdata/*.parquet")
	require.NoError(f, err)
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) { fuzzColumns(t, "x.parquet", raw) })
}
