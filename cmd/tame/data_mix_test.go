package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
)

func TestDataMix(t *testing.T) {
	a, b := written(t, "a.arrow", numbered("a", 90)...), written(t, "b.arrow", numbered("b", 7)...)
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole.arrow")
	out := mustRun(t, "data", "mix", a+"=3", b+"=1", whole, "--rows", "400", "--seed", "5")
	assert.Contains(t, out, "300 rows  75.0 %  of "+a+", which has 90")
	assert.Contains(t, out, "400 rows\n"+whole+" is written")
	want := readBack[data.Text](t, whole)
	require.Len(t, want, 400)
	for i, row := range want { // every fourth row is of b, from the first quarter on
		assert.Equal(t, want[2].Text[0] == row.Text[0], i%4 == 2, "row %d", i)
	}

	// Piece by piece with the position in a file it is the same stream.
	var got []data.Text
	for i, n := range []string{"1", "37", "300", "62"} {
		part := filepath.Join(dir, fmt.Sprint(i, ".arrow"))
		mustRun(t, "data", "mix", a+"=0.75", b+"=0.25", part, "--rows", n, "--seed", "5", "--position", filepath.Join(dir, "p.json"))
		got = append(got, readBack[data.Text](t, part)...)
	}
	assert.Equal(t, want, got)
	_, err := tame(t, "", "data", "mix", a+"=0.75", b+"=0.25", dir+"/n.arrow", "--seed", "6", "--position", filepath.Join(dir, "p.json"))
	assert.ErrorContains(t, err, "p.json: curate: mix: the position is that of seed 5")

	l, err := data.ReadLineage(whole)
	require.NoError(t, err)
	assert.Equal(t, "data mix", l.Stage)
	assert.Equal(t, uint64(5), l.Seed)
	assert.Len(t, l.Inputs, 2)
	assert.JSONEq(t, `{"Parts": [{"Name": "a.arrow", "Weight": 3}, {"Name": "b.arrow", "Weight": 1}], "Rows": 400}`, string(l.Config))

	// Without a number of rows none comes twice.
	once := filepath.Join(dir, "once.arrow")
	mustRun(t, "data", "mix", a+"=3", b, once)
	rows := readBack[data.Text](t, once)
	slices.SortFunc(rows, func(a, b data.Text) int { return strings.Compare(a.Text, b.Text) })
	assert.Len(t, slices.Compact(rows), len(rows))
	assert.InDelta(t, 28, len(rows), 4)

	conversations := written(t, "c.arrow", asks("q", "a"))
	for want, args := range map[string][]string{
		"already exists":           {a, whole},
		`"x" is no number`:         {a + "=x", "new.arrow"},
		"is named twice":           {a, a + "=3", "new.arrow"},
		"cannot be in one dataset": {a, conversations, "new.arrow"},
		"no such file":             {a, dir + "/none.arrow", "new.arrow"},
		"has the weight -1":        {a + "=-1", "new.arrow"},
		"--rows is 0":              {a, "new.arrow", "--rows", "0"},
		"has no rows":              {written[data.Text](t, "empty.arrow"), "new.arrow"},
		"convert it first: tame convert data x.js": {"x.jsonl", "new.arrow"},
	} {
		if args[0] == "x.jsonl" {
			args[0] = file(t, "x.jsonl", `{"text": "a"}`)
			want = "is no Arrow dataset: convert it first"
		}
		_, err := tame(t, "", append([]string{"data", "mix"}, args...)...)
		assert.ErrorContains(t, err, want)
	}
	assert.NoFileExists(t, "new.arrow")
}

func TestDataShuffle(t *testing.T) {
	rows := numbered("r", 3000)
	in := written(t, "in.arrow", rows...)
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		mustRun(t, "data", "shuffle", in, filepath.Join(dir, name), "--seed", "9")
	}
	a, err := os.ReadFile(filepath.Join(dir, "a"))
	require.NoError(t, err)
	b, err := os.ReadFile(filepath.Join(dir, "b"))
	require.NoError(t, err)
	assert.True(t, bytes.Equal(a, b), "the same seed gives the same bytes")
	got := readBack[data.Text](t, filepath.Join(dir, "a"))
	assert.NotEqual(t, rows, got)
	assert.ElementsMatch(t, rows, got)
}

// A compressed file says little of the memory that its rows take.
func TestRowBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.parquet")
	require.NoError(t, data.Write(path, texts(slices.Repeat([]string{strings.Repeat("a", 10000)}, 100)...), data.Lineage{}))
	require.Less(t, fileSize(path), int64(100000))
	d, err := openForm(path)
	require.NoError(t, err)
	defer d.close()
	size, err := rowBytes(d, 100)
	require.NoError(t, err)
	assert.Equal(t, 10000, size)
}
