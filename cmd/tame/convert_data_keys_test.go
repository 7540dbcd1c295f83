package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
)

// What of the rows was not used is always told: on the terminal, in the report, and --strict refuses it.
func TestConvertDataTellsWhatIsNotUsed(t *testing.T) {
	in := file(t, "a.jsonl", `{"id": 1, "Prompt": "x", "prompt": "Which?", "context": "Red, blue.", "response": "Red</s>", "mood": "glad"}
{"id": 2, "prompt": "Hi", "response": "Ho", "mood": ""}
{"id": 3, "prompt": "Hi", "response": "Ho", "completion": "Hu", "mood": "glad"}
`)
	dir := t.TempDir()
	out, report := filepath.Join(dir, "out.arrow"), filepath.Join(dir, "report.json")
	text := mustRun(t, "convert", "data", in, out, "--report", report)
	assert.Contains(t, text, "3 rows read: 2 rows taken, 1 refused\n  "+in+":3: \"completion\" and \"response\" differ: 'Hu' and 'Ho'\n")
	assert.Contains(t, text, `    rows  key that was not used
       2  mood
       1  Prompt (keys are taken by their exact case: want "prompt")
       3  id (a label)
    rows  special token of a chat format that is text here: it is learned as letters
       1  </s>
`)
	raw, err := os.ReadFile(report)
	require.NoError(t, err)
	var r conversionReport
	require.NoError(t, json.Unmarshal(raw, &r))
	assert.Equal(t, conversionReport{
		Files: []fileReport{{in, "completion", 3, 3}}, Output: out, RowsIn: 3, RowsOut: 2, Refused: 1,
		Reasons:       []reasonReport{{`"completion" and "response" differ: "..." and "..."`, false, 1}},
		UnusedKeys:    []unusedReport{{"mood", false, 2}, {"Prompt", false, 1}, {"id", true, 3}},
		SpecialTokens: map[string]int{"</s>": 1},
	}, r)
	assert.Contains(t, mustRun(t, "data", "validate", out), "\n       1  </s>")

	strict, report := filepath.Join(dir, "strict.arrow"), filepath.Join(dir, "strict.json")
	lines, err := tame(t, "", "convert", "data", in, strict, "--strict", "--report", report)
	assert.EqualError(t, err, "2 rows are refused, so "+strict+" is not written; the first: "+in+`:1: the key "Prompt" is not used`)
	assert.Contains(t, strings.Join(lines, "\n"), `       1  refused: the key "Prompt" is not used`)
	assert.NoFileExists(t, strict)
	raw, err = os.ReadFile(report)
	require.NoError(t, err)
	r = conversionReport{}
	require.NoError(t, json.Unmarshal(raw, &r))
	assert.Empty(t, r.Output)
	assert.Equal(t, 2, r.Refused)
}

// Most of the first rows decide on the dialect, and that is said; the others are bad rows. A row of an array has its number.
func TestConvertDataMajority(t *testing.T) {
	in := file(t, "a.json", `[{"instruction": "Hi", "output": "a"}, {"instruction": "Hi", "output": null}, {"instruction": "Hi"}, {"messages": []}, {"instruction": "Hi", "output": "b"}]`)
	refused := filepath.Join(t.TempDir(), "refused.jsonl")
	text := mustRun(t, "convert", "data", in, filepath.Join(t.TempDir(), "out.arrow"), "--refused", refused)
	assert.Contains(t, text, "dialect: alpaca, as 3 of the first 5 rows are\n")
	assert.Contains(t, text, "5 rows read: 2 rows taken, 3 refused\n  "+in+":1: element 2: data: message 1 (assistant) is blank\n")
	raw, err := os.ReadFile(refused)
	require.NoError(t, err)
	assert.Contains(t, string(raw), `"line":1,"element":3,`)
}

// The command in an error works as it is printed, on the file that the error is about.
func TestConversionHintsWork(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a folder's")
	require.NoError(t, os.Mkdir(dir, 0o777))
	t.Chdir(dir)
	command := regexp.MustCompile(`tame (convert data .*)$`)
	for name, c := range map[string]struct{ text, hint string }{
		"chat.jsonl":  {`{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}]}`, "messages"},
		"my rows.csv": {"prompt,response\nHi,Ho\n", "messages"},
		"pairs.json":  {`[{"prompt": "Hi", "chosen": "a", "rejected": "b"}]`, "preference"},
		"asked.jsonl": {`{"instruction": "Hi"}`, "prompts"},
		"web.txt":     {"one<|endoftext|>two", "text"},
		"web.tsv":     {"text\nof a table\n", "text"},
		"any.jsonl":   {`{"text": "a"}`, ""},
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(c.text), 0o666))
		err := checkArrow(path, c.hint)
		require.Error(t, err)
		found := command.FindStringSubmatch(err.Error())
		require.Len(t, found, 2, "%v", err)
		words := shellWords(found[1])
		mustRun(t, words...)
		assert.NoError(t, checkArrow(words[len(words)-1], c.hint))
		assert.FileExists(t, words[len(words)-1])
	}
	// Where no command gives the rows that are wanted, none is named.
	for text, want := range map[string]string{
		`{"prompt": "Hi", "chosen": "a", "rejected": "b"}`: "makes preference rows of it (its dialect is preference), and conversation rows are wanted here",
		`{"x": 1}`: "its rows have the keys x, which no known dialect has",
	} {
		err := checkArrow(file(t, "x.jsonl", text), "messages")
		assert.ErrorContains(t, err, want)
		assert.NotRegexp(t, command, err.Error())
	}
	streamed := file(t, "b.txt", "one")
	_, err := tame(t, "", "pretrain", "--set", "stream=true", "--set", "data="+streamed, "--set", "output="+filepath.Join(t.TempDir(), "out"))
	found := regexp.MustCompile(`tame (convert data .*? --as text)`).FindStringSubmatch(err.Error())
	require.Len(t, found, 2, "%v", err)
	mustRun(t, shellWords(found[1])...)
	rows, _, err := data.Read[data.Text](streamed + ".arrow")
	require.NoError(t, err)
	assert.Len(t, rows, 1)
}

// shellWords splits what shellQuote put together.
func shellWords(line string) (words []string) {
	for _, m := range regexp.MustCompile(`(?:'[^']*'|\\'|[^\s'])+`).FindAllString(line, -1) {
		m = strings.ReplaceAll(m, `'\''`, "\x00")
		words = append(words, strings.ReplaceAll(strings.ReplaceAll(m, "'", ""), "\x00", "'"))
	}
	return words
}
