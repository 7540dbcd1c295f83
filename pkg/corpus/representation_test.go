package corpus_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/corpus"
)

const lists = `# an example
gender pronouns:
  She: [she, her, hers, herself]
  He: [he, him, his, himself]
age: [young, middle-aged, "hard of hearing", GRÜN]
number:
  two: [2]
`

func counter(t *testing.T, text string) *corpus.Representation {
	t.Helper()
	axes, err := corpus.ParseWordLists("x.yaml", []byte(text))
	require.NoError(t, err)
	r, err := corpus.NewRepresentation(axes)
	require.NoError(t, err)
	return r
}

func TestRepresentation(t *testing.T) {
	r := counter(t, lists)
	for _, document := range []string{
		"She saw HIM. She's there, hers too",
		"The shelter theirs; heather",           // no whole word
		"his\thard of-hearing",                  // both axes
		"hard of, hard of hearing. Middle aged", // a term that begins inside another try
		"grün 22 2x",                            // a digit is part of its word
		"2", "", "middle of aged",
	} {
		r.Add(document)
	}
	assert.Equal(t, 8, r.Documents())
	assert.Equal(t, []corpus.AxisCount{
		{Name: "gender pronouns", Documents: 2, Share: 2. / 8, Descriptors: []corpus.DescriptorCount{{"She", 1, 0.5}, {"He", 2, 1}}},
		{Name: "age", Documents: 3, Share: 3. / 8, Descriptors: []corpus.DescriptorCount{
			{"young", 0, 0}, {"middle-aged", 1, 1. / 3}, {"hard of hearing", 2, 2. / 3}, {"GRÜN", 1, 1. / 3}}},
		{Name: "number", Documents: 1, Share: 1. / 8, Descriptors: []corpus.DescriptorCount{{"two", 1, 1}}},
	}, r.Counts())
	assert.Zero(t, counter(t, lists).Counts()[0].Share, "without documents")
}

// On real text the counts are those of regular expressions.
func TestRepresentationIsThatOfRegularExpressions(t *testing.T) {
	raw, err := os.ReadFile("../../../shared/data/tinyshakespeare/train.txt")
	if err != nil {
		t.Skip("no shared data")
	}
	documents := strings.Split(string(raw), "\n\n")
	r := counter(t, "p:\n  she: [she, her]\n  he: [he]\n  lord: [my lord, my good lord]\n")
	want := map[string]int{}
	forms := map[string]*regexp.Regexp{
		"she": regexp.MustCompile(`(?i)\b(she|her)\b`), "he": regexp.MustCompile(`(?i)\bhe\b`),
		"lord": regexp.MustCompile(`(?i)\bmy[^a-z0-9]+(good[^a-z0-9]+)?lord\b`),
	}
	for _, document := range documents {
		r.Add(document)
		any := 0
		for name, form := range forms {
			if form.MatchString(document) {
				want[name]++
				any = 1
			}
		}
		want["p"] += any
	}
	counts := r.Counts()[0]
	got := map[string]int{"p": counts.Documents}
	for _, d := range counts.Descriptors {
		got[d.Name] = d.Documents
	}
	assert.Equal(t, want, got)
	assert.Greater(t, want["lord"], 100)
}

func TestWordListsRefuse(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "x.yaml is empty",
		"# nothing":                 "x.yaml is empty",
		"[a]":                       `x.yaml:1: want names with lists`,
		"a:\n  b: c":                "x.yaml:2: want a list of words",
		"a: []":                     "x.yaml:1: want a list of words",
		"a: {}":                     "x.yaml:1: want names with lists",
		"a: [[x]]":                  "x.yaml:1: want a word",
		"a: [x]\na: [y]":            `x.yaml:2: "a" is there twice`,
		"a: [x\n":                   "x.yaml: ",
		"a: &x [b]\nc: *x":          "x.yaml:2: want names with lists",
		"a: {b: [x], 'b': [y]}":     `"b" is there twice`,
		"a: {b: [x], c: {d: [x] }}": "want a list of words",
	} {
		_, err := corpus.ParseWordLists("x.yaml", []byte(text))
		assert.ErrorContains(t, err, want, text)
	}
	_, err := corpus.LoadWordLists(filepath.Join(t.TempDir(), "none.yaml"))
	assert.ErrorIs(t, err, os.ErrNotExist)
	_, err = corpus.NewRepresentation([]corpus.Axis{{Name: "a"}, {Name: "b", Descriptors: []corpus.Descriptor{{Name: "c"}, {"d", []string{"!?"}}}}})
	assert.ErrorContains(t, err, "a has no descriptors")
	assert.ErrorContains(t, err, "c of b has no terms")
	assert.ErrorContains(t, err, `the term "!?", which has no letter`)
}

func FuzzWordLists(f *testing.F) {
	f.Add([]byte(lists))
	f.Add([]byte("a: &x [b]\nc: *x"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		axes, err := corpus.ParseWordLists("x.yaml", raw)
		if err != nil {
			return
		}
		if r, err := corpus.NewRepresentation(axes); err == nil {
			r.Add(string(raw))
			r.Counts()
		}
	})
}

func ExampleContamination() {
	sample := []int32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	cfg := corpus.DefaultContaminationConfig()
	c, err := corpus.NewContamination([][]int32{sample}, cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	c.Add([]int32{70, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 99, 13, 14, 80}) // 14 tokens, of which one differs
	parts, err := corpus.Subsets(cfg, c.Shares(10), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, part := range parts {
		fmt.Println(part.Name, part.Samples)
	}
	fmt.Println(c.Shares(10), c.Shares(20))
	// Output:
	// clean 0
	// not clean 1
	// not dirty 0
	// dirty 1
	// [0.8125] [0]
}

func ExampleRepresentation() {
	axes, err := corpus.ParseWordLists("lists.yaml", []byte("pronouns:\n  She: [she, her]\n  He: [he, him, his]\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := corpus.NewRepresentation(axes)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, text := range []string{"He lost his hat.", "She gave him hers.", "A hat."} {
		r.Add(text)
	}
	for _, axis := range r.Counts() {
		fmt.Printf("%s: %.0f %% of the documents\n", axis.Name, 100*axis.Share)
		for _, d := range axis.Descriptors {
			fmt.Printf("  %s: %.0f %% of these\n", d.Name, 100*d.Share)
		}
	}
	// Output:
	// pronouns: 67 % of the documents
	//   She: 50 % of these
	//   He: 100 % of these
}
