package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDataContamination(t *testing.T) {
	tok := filepath.Join(tinyModel(t), "tokenizer.model")
	eval := written(t, "eval.arrow", texts("the cat sat on the mat near a dog and a log", "quite another thing 0123456789 0123456789", "x")...)
	train := written(t, "train.arrow", texts("the cat sat on the mat near a dog and a log", "0123456789 and no more")...)
	samples := filepath.Join(t.TempDir(), "samples.jsonl")
	scores := file(t, "scores.txt", "1\n0\n0.5\n")
	args := []string{"data", "contamination", "--train", train, "--eval", eval, "--tokenizer", tok, "--lengths", "5,200", "--min", "5"}
	out := mustRun(t, append(args, "--samples", samples, "--scores", scores)...)
	assert.Contains(t, out, "3 samples, of which 1 have no more than 5 tokens")
	assert.Contains(t, out, "No sign that contamination changed the scores")
	raw, err := os.ReadFile(samples)
	require.NoError(t, err)
	var first, second struct {
		Row, Tokens  int
		Contaminated map[int]float64
	}
	lines := strings.Split(string(raw), "\n")
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &first))
	require.NoError(t, json.Unmarshal([]byte(lines[1]), &second))
	assert.Equal(t, map[int]float64{5: 1, 200: 0}, first.Contaminated)
	assert.Greater(t, second.Contaminated[5], 0.2)
	assert.Less(t, second.Contaminated[5], 0.9)

	var report []lengthReport
	out = mustRun(t, append(args, "--json")...)
	require.NoError(t, json.NewDecoder(strings.NewReader(out[strings.Index(out, "[\n"):])).Decode(&report))
	require.Len(t, report, 2)
	assert.Equal(t, "dirty", report[0].Parts[3].Name)
	assert.GreaterOrEqual(t, report[0].Parts[3].Samples, 1)
	assert.Equal(t, 3, report[1].Parts[0].Samples)
	assert.Nil(t, report[1].Parts[3].Share)
	assert.Nil(t, report[0].Affected)

	for want, more := range map[string][]string{
		"less than --min, which is 6":  {"--min", "6"},
		"has 2 numbers for 3 samples":  {"--scores", file(t, "s.txt", "1\n2\n")},
		"s.txt:2: want a number":       {"--scores", file(t, "s.txt", "1\nx\n3\n")},
		"n.txt:3: want a number":       {"--scores", file(t, "n.txt", "1\n2\nnull\n")},
		"Skip is -1":                   {"--skip", "-1"},
		"samples.jsonl already exists": {"--samples", samples},
		"none.arrow: no such file":     {"--train", "none.arrow"},
	} {
		_, err := tame(t, "", append(slices.Clone(args), more...)...)
		assert.ErrorContains(t, err, want)
	}
}

func TestDataRepresentation(t *testing.T) {
	words := file(t, "lists.yaml", "pronouns:\n  She: [she, her]\n  He: [he]\nfaith: [hindu]\n")
	path := written(t, "c.arrow", asks("Is she here?", "She is."), asks("Is he?", "her too"), asks("And?", "No."))
	out := mustRun(t, "data", "representation", path, "--words", words, "--top", "1")
	assert.Contains(t, out, "3 documents\n\npronouns: 2 documents, 66.7 %\n        2  100.0 %  She\n\nfaith: 0 documents, 0.0 %\n        0    0.0 %  hindu")
	out = mustRun(t, "data", "representation", path, path, "--words", words, "--json")
	var report struct {
		Documents int
		Axes      []struct{ Descriptors []struct{ Share float64 } }
	}
	require.NoError(t, json.Unmarshal([]byte(jsonOf(out)), &report))
	assert.Equal(t, 6, report.Documents)
	assert.Equal(t, 0.5, report.Axes[0].Descriptors[1].Share)
	_, err := tame(t, "", "data", "representation", path, "--words", file(t, "x.yaml", "a: b"))
	assert.ErrorContains(t, err, "x.yaml:1: want names with lists")
}
