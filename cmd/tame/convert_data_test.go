package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/tame-rlhf/tame/pkg/data"
)

func TestConvertDataRecognises(t *testing.T) {
	dir := t.TempDir()
	a := filepath.Join(dir, "a-1.jsonl")
	require.NoError(t, os.WriteFile(a, []byte(`{"prompt": "Hi", "response 1": "a", "response 2": "b", "label": 0}
{"prompt": "Hi", "response 1": "a", "response 2": "b", "label": 2}
{"prompt": "Hi", "response 1": "a", "response 2": "b", "label": 9}
{"prompt": "Hi", "response 1": "a", "response 2": "b", "label": 8}
`), 0o666))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a-2.json"), []byte(`[{"prompt": "Hi", "chosen": "a", "rejected": "b", "margin": 2}]`), 0o666))
	out, refused := filepath.Join(dir, "out.parquet"), filepath.Join(dir, "refused.jsonl")
	text := mustRun(t, "convert", "data", filepath.Join(dir, "a-*"), "-", out, "--refused", refused)
	assert.Contains(t, text, "dialect: autoj ("+a+"), preference ("+filepath.Join(dir, "a-2.json")+")\n", "standard input is empty")
	assert.Contains(t, text, "5 rows read: 2 rows taken, 2 refused, 1 skipped\n  "+a+":3: the label is 9, which is neither answer\n")
	assert.Contains(t, text, "    rows  reason\n       2  refused: the label is N, which is neither answer\n       1  skipped: a tie: neither answer is better\n")
	rows, l, err := data.Read[data.Preference](out)
	require.NoError(t, err)
	assert.Equal(t, []data.Rating{data.Better, data.SignificantlyBetter}, []data.Rating{rows[0].Rating, rows[1].Rating})
	assert.Equal(t, "import autoj", l.Stage)
	assert.Len(t, l.Inputs, 2)
	raw, err := os.ReadFile(refused)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	require.Len(t, lines, 2)
	var first struct {
		File, Reason string
		Line         int
	}
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &first))
	assert.Equal(t, a, first.File)
	assert.Equal(t, 3, first.Line)
	assert.Equal(t, "the label is 9, which is neither answer", first.Reason)

	again := filepath.Join(dir, "again.arrow")
	text = mustRun(t, "convert", "data", out, again, "--compression", "lz4")
	assert.Contains(t, text, "dialect: tame\n")
	assert.Contains(t, text, "2 rows read: 2 rows taken, 0 refused\n")
	got, l, err := data.Read[data.Preference](again)
	require.NoError(t, err)
	assert.Equal(t, rows, got)
	require.Len(t, l.Ancestors, 1)
	assert.Equal(t, "import autoj", l.Ancestors[0].Lineage.Stage)

	kept := filepath.Join(dir, "kept.arrow")
	assert.Contains(t, mustRun(t, "convert", "data", a, kept, "--ties", "keep"), "4 rows read: 2 rows taken, 2 refused\n")
}

func TestConvertDataRefuses(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir) // where files lie until they are complete
	in := file(t, "a.jsonl", `{"prompt": "Hi", "chosen": "a", "rejected": "b"}`+"\n{}\n")
	out := filepath.Join(dir, "out.arrow")
	for want, args := range map[string][]string{
		"a.jsonl:2: no chosen or no rejected answer":   {in, out, "--strict", "--refused", filepath.Join(t.TempDir(), "refused.jsonl")},
		"is named as two outputs":                      {in, out, "--refused", dir + "/./out.arrow"},
		"want OUT.arrow or OUT.parquet":                {in, filepath.Join(dir, "out.jsonl")},
		`--ties is "x", want drop or keep`:             {in, out, "--ties", "x"},
		"--thresholds has 2 numbers, want 3":           {in, out, "--thresholds", "1,2"},
		"want three numbers above 0 that grow":         {in, out, "--thresholds", "3,2,1"},
		`unknown compression "gzip"`:                   {in, out, "--compression", "gzip"},
		"choose zstd or none":                          {in, filepath.Join(dir, "out.parquet"), "--compression", "lz4"},
		"which no known dialect has: name one of alpa": {file(t, "b.jsonl", `{"a": 1}`), out},
	} {
		_, err := tame(t, "", append([]string{"convert", "data"}, args...)...)
		assert.ErrorContains(t, err, want)
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, left, "nothing is left behind")
}

func TestConvertDataStdin(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.arrow")
	lines, err := tame(t, `{"instruction": "a", "output": "b"}`, "convert", "data", "-", out)
	require.NoError(t, err)
	assert.Equal(t, "dialect: alpaca", lines[0])
	rows, l, err := data.Read[data.Conversation](out)
	require.NoError(t, err)
	assert.Len(t, rows, 1)
	assert.Equal(t, []data.Input{{Name: "standard input"}}, l.Inputs)
	assert.Contains(t, mustRun(t, "lineage", out), "standard input")
}

// A pipe can be read only once, and its dialect is recognised before.
func TestConvertDataPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, unix.Mkfifo(pipe, 0o600))
	_, err := tame(t, "", "convert", "data", pipe, filepath.Join(t.TempDir(), "out.arrow"))
	assert.ErrorContains(t, err, pipe+" is no regular file: give it as standard input, which is named -")
}

func TestConvertDataHelp(t *testing.T) {
	help := mustRun(t, "convert", "data", "--help")
	assert.Contains(t, help, "none, lz4 or zstd (default none for Arrow, zstd for Parquet)")
	assert.Contains(t, help, "significantly better (default 0.3,1,2 for grades and margins, 0.2,0.5,0.8 for votes and probabilities)")
	assert.NotContains(t, help, "(default [])")
}
