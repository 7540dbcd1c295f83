package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/console"
	"github.com/tame-rlhf/tame/internal/printable"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/pipeline"
)

// TestForeignTextSteersNoTerminal: names in metadata, rows, errors and notes come out escaped.
func TestForeignTextSteersNoTerminal(t *testing.T) {
	const hostile = "\x1b[2J\a\u009b31m\u202ex"
	path := filepath.Join(t.TempDir(), "rows.arrow")
	lineage := data.Lineage{Stage: hostile + "\n└── forged", Inputs: []data.Input{{Name: hostile + "\n", Fingerprint: "sha256:0"}}}
	require.NoError(t, data.Write(path, []data.Text{{Text: hostile}}, lineage))
	clean := func(text string) {
		t.Helper()
		assert.Equal(t, printable.Text(text), text)
		assert.NotContains(t, text, "\u009b")
	}
	tree := mustRun(t, "lineage", path)
	clean(tree)
	assert.NotContains(t, tree, "\n└── forged")
	for _, command := range [][]string{{"lineage", path, "--json"}, {"data", "head", path, "--json"}, {"data", "head", path}, {"data", "stats", path}} {
		clean(mustRun(t, command...))
	}
	var row data.Text
	require.NoError(t, json.Unmarshal([]byte(mustRun(t, "data", "head", path, "--json")), &row))
	assert.Equal(t, hostile, row.Text, "JSON means the same")

	var out bytes.Buffer
	status(&out, errors.New(hostile), false)
	run := &stageRun{console: console.New(&out)}
	run.notef("a name: %s, 5 %%", hostile)
	clean(out.String())
	assert.Contains(t, out.String(), "x, 5 %")
}

// An iteration tells how many answers are empty or unfinished, as `tame reject` does.
func TestIterationCountsEmptyAnswers(t *testing.T) {
	var out bytes.Buffer
	w := &watch{run: &stageRun{console: console.New(&out)}}
	w.event(pipeline.Event{Step: "v1/winners.arrow", Sampled: &pipeline.SampleCount{Answers: 48, Unfinished: 5, Empty: 3}})
	assert.Contains(t, out.String(), "v1/winners.arrow: of 48 answers 3 are empty and 5 unfinished: they are left out")
	out.Reset()
	w.event(pipeline.Event{Step: "v2/winners.arrow", Sampled: &pipeline.SampleCount{Answers: 48}})
	assert.Empty(t, out.String())
}
