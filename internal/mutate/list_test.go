package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A line that moved or changed would silently leave its break out, so every list is held against
// the code in each test run.
func TestEveryBreakOfTheRepositoryApplies(t *testing.T) {
	all, err := readLists("breaks", nil)
	require.NoError(t, err)
	require.NotEmpty(t, all)
	seen := map[[3]string]string{}
	survivors := 0
	for _, e := range all {
		text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(e.file)))
		if !assert.NoError(t, err, e.id()) {
			continue
		}
		_, err = e.apply(string(text))
		assert.NoError(t, err)
		key := [3]string{e.file, e.old, e.new}
		assert.Empty(t, seen[key], "%s is the same break", e.id())
		seen[key] = e.id()
		if e.survives != "" {
			survivors++
		}
	}
	assert.LessOrEqual(t, survivors, maxSurvivors)
}

const twoEntries = `# the reward
file: pkg/ppo/reward.go
- 	if a || b {
+ 	if a {
why: a reason
test: ./pkg/ppo ./pkg/pipeline
run: Reward|Rollout

file: pkg/ppo/reward.go
- 		x++
+
why: another
survives: nobody reads x

# nothing but a comment

`

func TestParse(t *testing.T) {
	got, err := parse("ppo", twoEntries)
	require.NoError(t, err)
	assert.Equal(t, []entry{
		{list: "ppo", line: 2, file: "pkg/ppo/reward.go", old: "\tif a || b {", new: "\tif a {", why: "a reason",
			packages: []string{"./pkg/ppo", "./pkg/pipeline"}, run: "Reward|Rollout"},
		{list: "ppo", line: 9, file: "pkg/ppo/reward.go", old: "\t\tx++", removes: true, why: "another",
			packages: []string{"./pkg/ppo"}, survives: "nobody reads x"},
	}, got)
	assert.Equal(t, "ppo:9", got[1].id())
}

func TestParseNamesMistakes(t *testing.T) {
	const good = "file: a/b.go\n- x\n+ y\nwhy: z\n"
	_, err := parse("l", good)
	require.NoError(t, err)
	for text, want := range map[string]string{
		"file: ../b.go\n- x\n+ y\nwhy: z":              `l:1: file: "../b.go" is not the path of a Go file`,
		"file: a/b.s\n- x\n+ y\nwhy: z":                "is not the path of a Go file",
		"- x\n+ y\nwhy: z":                             `file: "" is not the path of a Go file`,
		"file: a/b.go\n+ y\nwhy: z":                    "no line to break",
		"file: a/b.go\n- x\nwhy: z":                    "no line that replaces it",
		"file: a/b.go\n- x\n+ x\nwhy: z":               "changes nothing",
		"file: a/b.go\n- x\n+ y":                       "why: is empty",
		good + "survives:":                             "survives: has no reason",
		good + "test: pkg/ppo":                         `"pkg/ppo" does not begin with ./`,
		good + "because: of":                           `l:5: "because: of" is none of`,
		good + good:                                    `l:5: a second "file"`,
		"\n\nfile: a/b.go\n- x\n+ y\n\n" + good + "-x": "l:3: why: is empty",
	} {
		_, err := parse("l", text)
		assert.ErrorContains(t, err, want, text)
	}
}

func TestApply(t *testing.T) {
	const text = "one\n\ttwo\ntwo\nthree\nthree\n"
	got, err := entry{old: "two", new: "2"}.apply(text)
	require.NoError(t, err)
	assert.Equal(t, "one\n\ttwo\n2\nthree\nthree\n", got)
	got, err = entry{old: "\ttwo", removes: true}.apply(text)
	require.NoError(t, err)
	assert.Equal(t, "one\ntwo\nthree\nthree\n", got)
	_, err = entry{list: "l", line: 7, file: "a.go", old: "wo", new: "2"}.apply(text)
	assert.EqualError(t, err, `l:7: no line of a.go is "wo"`)
	_, err = entry{old: "three", new: "3"}.apply(text)
	assert.ErrorContains(t, err, "lines 4 and 5")
}

func TestReadListsByNameAndLine(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.breaks"), []byte(twoEntries), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "b.breaks"), []byte(twoEntries), 0o644))
	ids := func(args ...string) (ids []string) {
		all, err := readLists(dir, args)
		require.NoError(t, err)
		for _, e := range all {
			ids = append(ids, e.id())
		}
		return ids
	}
	assert.Equal(t, []string{"a:2", "a:9", "b:2", "b:9"}, ids())
	assert.Equal(t, []string{"b:2", "b:9"}, ids("b"))
	assert.Equal(t, []string{"b:9", "a:2"}, ids("b:9", "a:2"))
	_, err := readLists(dir, []string{"a:3"})
	assert.ErrorContains(t, err, "no entry begins at line 3")
	_, err = readLists(dir, []string{"c"})
	assert.ErrorIs(t, err, os.ErrNotExist)
}
