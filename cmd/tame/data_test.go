package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/curate"
	"github.com/tame-rlhf/tame/pkg/data"
)

// written writes rows and gives their file.
func written[T data.Row](t *testing.T, name string, rows ...T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, data.Write(path, rows, data.Lineage{Stage: "test"}))
	return path
}

// readBack reads all rows.
func readBack[T data.Row](t *testing.T, path string) []T {
	t.Helper()
	rows, _, err := data.Read[T](path)
	require.NoError(t, err)
	return rows
}

func texts(names ...string) (rows []data.Text) {
	for _, name := range names {
		rows = append(rows, data.Text{Text: name})
	}
	return rows
}

// numbered are n texts.
func numbered(prefix string, n int) (rows []data.Text) {
	for i := range n {
		rows = append(rows, data.Text{Text: fmt.Sprint(prefix, i)})
	}
	return rows
}

func asks(question string, answers ...string) data.Conversation {
	c := data.Conversation{Messages: []data.Message{{Role: data.User, Content: question}}, Source: "x"}
	for i, text := range answers {
		c.Messages = append(c.Messages, data.Message{Role: data.Assistant - data.Role(i%2), Content: text})
	}
	return c
}

func TestDataSplit(t *testing.T) {
	var rows []data.Conversation
	for i := range 600 {
		rows = append(rows, asks(fmt.Sprint("question ", i%200), fmt.Sprint("answer ", i)))
	}
	in, dir := written(t, "in.arrow", rows...), t.TempDir()
	train, heldOut := filepath.Join(dir, "train.arrow"), filepath.Join(dir, "heldout.arrow")
	out := mustRun(t, "data", "split", in, train, heldOut, "--share", "0.2", "--seed", "3")
	wantTrain, wantHeld, err := curate.Split(rows, 0.2, 3)
	require.NoError(t, err)
	assert.Equal(t, wantTrain, readBack[data.Conversation](t, train))
	assert.Equal(t, wantHeld, readBack[data.Conversation](t, heldOut))
	assert.Contains(t, out, fmt.Sprintf("%d rows for training, %d held out", len(wantTrain), len(wantHeld)))
	l, err := data.ReadLineage(heldOut)
	require.NoError(t, err)
	assert.JSONEq(t, `{"Share": 0.2}`, string(l.Config))

	one := written(t, "one.arrow", rows[0])
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for _, share := range []string{"0.000001", "0.999999"} {
		_, err = tame(t, "", "data", "split", one, a, b, "--share", share)
		assert.ErrorContains(t, err, "no question comes to lie on this side")
		assert.NoFileExists(t, a, "both or none")
		assert.NoFileExists(t, b, "both or none")
	}
	_, err = tame(t, "", "data", "split", one, a, a, "--share", "1.5")
	assert.ErrorContains(t, err, "named as two outputs")
	assert.ErrorContains(t, err, "--share is 1.5")
}

func TestDataDedup(t *testing.T) {
	one := written(t, "1.arrow", asks("q", "a"), asks("q  ", "a"), asks("q", "b"))
	two := written(t, "2.arrow", asks("q", "A"), asks("r", "a"))
	for _, c := range []struct {
		args []string
		want []data.Conversation
	}{
		{nil, []data.Conversation{asks("q", "a"), asks("q", "b"), asks("q", "A"), asks("r", "a")}},
		{[]string{"--fold-case"}, []data.Conversation{asks("q", "a"), asks("q", "b"), asks("r", "a")}},
		{[]string{"--of", "prompt"}, []data.Conversation{asks("q", "a"), asks("r", "a")}},
		{[]string{"--of", "answer"}, []data.Conversation{asks("q", "a"), asks("q", "b"), asks("q", "A")}},
	} {
		out := filepath.Join(t.TempDir(), "out.arrow")
		text := mustRun(t, append([]string{"data", "dedup", one, two, out}, c.args...)...)
		assert.Equal(t, c.want, readBack[data.Conversation](t, out), "%v", c.args)
		assert.Contains(t, text, fmt.Sprintf("5 rows, %d kept, %d dropped", len(c.want), 5-len(c.want)))
	}
	words := strings.Fields("a b c d e f g h i j k l m n o p q r s t u v w x y z")
	alike := slices.Clone(words)
	alike[25] = "Z"
	path := written(t, "near.arrow", texts(strings.Join(words, " "), strings.Join(alike, " "), strings.Join(words, "\n"), "else")...)
	near := filepath.Join(t.TempDir(), "near.arrow")
	assert.Contains(t, mustRun(t, "data", "dedup", path, near, "--near", "0.6"), "4 rows, 2 kept, 2 dropped (50.0 %): 1 say the same as a row before, 1 nearly the same")
	l, err := data.ReadLineage(near)
	require.NoError(t, err)
	assert.JSONEq(t, `{"Of": "row", "FoldCase": false, "Near": {"Threshold": 0.6, "Words": 5, "Of": "row", "FoldCase": false}}`, string(l.Config))
	_, err = tame(t, "", "data", "dedup", path, "new.arrow", "--near", "8")
	assert.ErrorContains(t, err, "NearDedup.Threshold is 8")

	_, err = tame(t, "", "data", "dedup", written(t, "t.arrow", texts("a")...), "new.arrow", "--of", "prompt")
	assert.ErrorContains(t, err, "holds texts, which have no prompt")
	_, err = tame(t, "", "data", "dedup", one, "new.arrow", "--words", "3")
	assert.ErrorContains(t, err, "give --near too")
	_, err = tame(t, "", "data", "dedup", one, "new.arrow", "--of", "source")
	assert.ErrorContains(t, err, `unknown extent "source", want row, prompt or answer`)
}

func TestDataFilter(t *testing.T) {
	in := written(t, "in.arrow", asks("abc", "12"), asks("abcd", "12345"), asks("[INST]", "x"))
	kept := func(args ...string) (string, []data.Conversation) {
		out := filepath.Join(t.TempDir(), "out.arrow")
		text := mustRun(t, append([]string{"data", "filter", in, out}, args...)...)
		return text, readBack[data.Conversation](t, out)
	}
	text, rows := kept("--min", "6", "--max", "8")
	assert.Contains(t, text, "3 rows, 1 kept, 1 too short, 1 too long\n")
	assert.Equal(t, []data.Conversation{asks("[INST]", "x")}, rows)
	_, rows = kept("--of", "answer", "--min", "2")
	assert.Len(t, rows, 2)

	dir := tinyModel(t)
	tok := filepath.Join(dir, "tokenizer.model")
	lines, err := tame(t, `{"messages": [{"role": "user", "content": "abc"}, {"role": "assistant", "content": "12"}]}`, "tokenize", "--tokenizer", tok)
	require.NoError(t, err)
	var ids tokenizeOutput
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &ids))
	text, rows = kept("--tokenizer", tok, "--max", fmt.Sprint(len(ids.IDs)))
	assert.Contains(t, text, "3 rows, 1 kept, 0 too short, 1 too long, 1 refused by the chat format")
	assert.Equal(t, []data.Conversation{asks("abc", "12")}, rows)

	_, err = tame(t, "", "data", "filter", in, "new.arrow", "--min", "1000")
	assert.ErrorContains(t, err, "no row is of that length")
	assert.NoFileExists(t, "new.arrow")
	_, err = tame(t, "", "data", "filter", in, "new.arrow", "--min", "3", "--max", "2")
	assert.ErrorContains(t, err, "LengthFilter.Max is 2, want at least Min")
}

// foreign writes a file as other programs do: without metadata, with one more column.
func foreign(t *testing.T, values ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "foreign.arrow")
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "url", Type: arrow.BinaryTypes.String, Nullable: true}, {Name: "text", Type: arrow.BinaryTypes.LargeString, Nullable: true},
	}, nil)
	w, err := ipc.NewFileWriter(f, ipc.WithSchema(schema))
	require.NoError(t, err)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for _, value := range values {
		b.Field(0).AppendNull()
		if value == "" {
			b.Field(1).AppendNull()
		} else {
			b.Field(1).(*array.LargeStringBuilder).Append(value)
		}
	}
	rec := b.NewRecord()
	defer rec.Release()
	require.NoError(t, w.Write(rec))
	require.NoError(t, w.Close())
	return path
}

func TestDataHead(t *testing.T) {
	score := 0.25
	for _, c := range []struct {
		path string
		args []string
		want string
	}{
		{written(t, "c.arrow", asks("Hi\x1b[2J", "Hello\nyou"), asks("b", "c")), nil,
			"── row 0 ──\nuser: Hi\\x1b[2J\nassistant: Hello\nyou\n  source x\n\n── row 1 ──\nuser: b\nassistant: c\n  source x\n"},
		{written(t, "t.arrow", texts("a", "b", "c")...), []string{"-n", "1", "--from", "1"}, "── row 1 ──\nb\n"},
		{foreign(t, "a", "b"), []string{"-n", "1"}, "── row 0 ──\na\n"},
		{written(t, "p.arrow", data.Prompt{ID: "7", Messages: asks("Hi").Messages, Safety: true}), nil, "── row 0 ──\nuser: Hi\n  id 7, safety true\n"},
		{written(t, "f.arrow", data.Preference{Messages: asks("Hi").Messages, Chosen: "a", Rejected: "b", Rating: data.Better, ChosenSafe: data.Safe, Set: data.SafetySet}), nil,
			"── row 0 ──\nuser: Hi\nchosen (safe): a\nrejected (unknown): b\n  better, safety\n"},
		{written(t, "s.arrow", data.Sample{PromptID: "7", Messages: asks("Hi").Messages, Prompt: []int32{1, 2}, Tokens: []int32{3}, Text: "a", Safety: &score, Temperature: 1.5}), nil,
			"── row 0 ──\nuser: Hi\nanswer: a\n  prompt 7, 2 and 1 tokens, finished false, version 0, temperature 1.5, safety 0.25\n"},
		{written(t, "s.arrow", data.Sample{Prompt: []int32{1}, Tokens: []int32{3}, LogProbs: []float32{-0.5}, Text: "<a>", Safety: &score}), []string{"--json"},
			`{"prompt_id":"","messages":[],"prompt":[1],"tokens":[3],"log_probs":[-0.5],"text":"<a>","finished":false,"helpfulness":null,"safety":0.25,"combined":null,"version":0,"temperature":0}`},
		{written(t, "c.arrow", asks("Hi", "a")), []string{"--json"}, `{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"a"}],"source":"x"}`},
	} {
		assert.Equal(t, strings.TrimSuffix(c.want, "\n"), strings.TrimSuffix(mustRun(t, append([]string{"data", "head", c.path}, c.args...)...), "\n"))
	}
	_, err := tame(t, "", "data", "head", file(t, "x.arrow", "no Arrow at all"))
	assert.ErrorContains(t, err, `does not begin with "ARROW1"`)
	assert.Equal(t, 1, strings.Count(err.Error(), "ARROW1"), "told once, not for every form")
	_, err = tame(t, "", "data", "head", written(t, "graded.arrow", graded{1}))
	assert.ErrorContains(t, err, "graded.arrow is of none of tame's forms:\n  holds graded v1 rows, want sample v1\n")
	_, err = tame(t, "", "data", "head", written(t, "wrong.arrow", claimed{1}))
	assert.ErrorContains(t, err, `wrong.arrow: has 0 columns "text" of text v1, want 1; its columns are [grade]`)
	assert.NotContains(t, err.Error(), "sample")
}

func TestDataStats(t *testing.T) {
	var rows []data.Conversation
	for i := range 20 {
		rows = append(rows, asks(strings.Repeat("q", i+1), strings.Repeat("ä", 2*i)))
	}
	rows = append(rows, rows[3], asks("q", "a", "r", "b"))
	path := written(t, "c.arrow", rows...)
	out := mustRun(t, "data", "stats", path)
	for _, want := range []string{
		"22 rows of conversation v1", "1    4.5 %  duplicates of a row before", "1    4.5 %  with an empty answer", "\nsource\n       22  100.0 %  x",
	} {
		assert.Contains(t, out, want)
	}
	var report statsReport
	require.NoError(t, json.Unmarshal([]byte(jsonOf(mustRun(t, "data", "stats", path, "--json", "--tokenizer", filepath.Join(tinyModel(t), "tokenizer.model")))), &report))
	find := func(name string) numbers {
		i := slices.IndexFunc(report.Numbers, func(n numbers) bool { return n.Name == name })
		require.GreaterOrEqual(t, i, 0, name)
		return report.Numbers[i]
	}
	// Prompts of 1, 2, ... 20, of 4, and of two turns of 1 character; answers of 0, 2, ... 38, of 6, and two of 1.
	assert.Equal(t, numbers{Name: "characters of the prompt", Min: 1, Median: 9, Mean: 216. / 22, P95: 19, Max: 20, Sum: 216, Rows: 22}, find("characters of the prompt"))
	assert.Equal(t, numbers{Name: "characters of the answer", Min: 0, Median: 16, Mean: 388. / 22, P95: 36, Max: 38, Sum: 388, Rows: 22}, find("characters of the answer"))
	assert.Equal(t, numbers{Name: "turns", Min: 1, Median: 1, Mean: 23. / 22, P95: 1, Max: 2, Sum: 23, Rows: 22}, find("turns"))
	assert.Equal(t, find("tokens of the prompt").Sum+find("tokens of the answer").Sum, find("tokens").Sum)

	pair := data.Preference{Messages: asks("Hi").Messages, Chosen: "ab", Rejected: "b", Rating: data.Better, ChosenSafe: data.Safe, RejectedSafe: data.Unsafe}
	worse := pair
	worse.Chosen, worse.Rating, worse.Set = "c", data.SlightlyBetter, data.SafetySet
	out = mustRun(t, "data", "stats", written(t, "f.arrow", pair, worse, pair))
	for _, want := range []string{
		"3 rows of preference v1", "1   33.3 %  duplicates", "2   66.7 %  with the prompt of", "2   66.7 %  whose chosen answer is longer",
		"\nrating\n        2   66.7 %  better\n        1   33.3 %  slightly better\n", "3  100.0 %  safe, unsafe", "1   33.3 %  safety\n",
	} {
		assert.Contains(t, out, want)
	}
	score := 0.5
	sample := data.Sample{Messages: asks("Hi").Messages, Prompt: []int32{1}, Tokens: []int32{2, 3}, LogProbs: []float32{-1, -2}, Text: "a", Finished: true, Combined: &score, Temperature: 1.2}
	out = mustRun(t, "data", "stats", written(t, "s.arrow", sample, data.Sample{Prompt: []int32{1}, Temperature: 0.8}))
	for _, want := range []string{
		"1   50.0 %  finished", "1   50.0 %  with log-prob", "-1.5    -1.5  -1.5  -1.5  -1.5  -1.5  mean log-probability", "1   50.0 %  1.2\n", "1   50.0 %  with an empty answer",
	} {
		assert.Contains(t, out, want)
	}
	assert.Contains(t, mustRun(t, "data", "stats", written(t, "p.arrow", data.Prompt{ID: "1", Messages: asks("Hi").Messages, Safety: true})), "1  100.0 %  tagged as a safety prompt")
	assert.Contains(t, mustRun(t, "data", "stats", foreign(t, "one", "two")), "2 rows of text v1")
	assert.Contains(t, mustRun(t, "data", "stats", written[data.Text](t, "none.arrow")), "0 rows of text v1")
}

// graded has a form of its own, claimed says that it is a text.
type (
	graded struct {
		Grade int `arrow:"grade"`
	}
	claimed graded
)

func (graded) Schema() data.Schema  { return data.Schema{Name: "graded", Version: 1} }
func (claimed) Schema() data.Schema { return data.Text{}.Schema() }

// jsonOf is the first JSON object, without the lines of the progress.
func jsonOf(out string) string {
	var value json.RawMessage
	if json.NewDecoder(strings.NewReader(out[max(0, strings.IndexByte(out, '{')):])).Decode(&value) != nil {
		return out
	}
	return string(value)
}

// loose is a conversation that nobody checks.
type loose struct {
	Messages []data.Message `arrow:"messages"`
	Source   *string        `arrow:"source"`
}

func (loose) Schema() data.Schema { return data.Conversation{}.Schema() }

func TestDataValidate(t *testing.T) {
	good := written(t, "good.arrow", asks("q", "a"))
	assert.Equal(t, good+": 1 rows of conversation v1, made by test of 0 inputs", mustRun(t, "data", "validate", good))
	assert.Contains(t, mustRun(t, "data", "validate", foreign(t, "a")), "1 rows of text v1, does not say where it comes from")

	source := "x"
	bad := written(t, "bad.arrow", loose{asks("q", "a").Messages, &source}, loose{asks("q").Messages, &source}, loose{asks("q", "a").Messages, nil},
		loose{asks("[INST]", "a").Messages, &source}, loose{asks("q", "a").Messages, &source})
	lines, err := tame(t, "", "data", "validate", bad, good)
	assert.EqualError(t, err, bad+": 3 of 5 rows are bad")
	out := strings.Join(lines, "\n")
	for _, want := range []string{
		bad + ": row 1: conversation has no answer to learn from\n", bad + `: row 2: column "source" is null`,
		bad + `: row 3: message contains a tag of the chat format: message 0 (user) has "[INST]"`, bad + ": 5 rows of conversation v1, made by test",
		good + ": 1 rows",
	} {
		assert.Contains(t, out, want)
	}
	lines, err = tame(t, "", "data", "validate", bad, "--most", "1")
	assert.Error(t, err)
	assert.Contains(t, strings.Join(lines, "\n"), ": and 2 more")

	pair := data.Preference{Messages: asks("Hi").Messages, Chosen: "a", Rejected: "a", Rating: data.Better}
	sample := data.Sample{Prompt: []int32{1}, Tokens: []int32{2}, LogProbs: []float32{0.5}}
	negative := data.Sample{Prompt: []int32{1}, Tokens: []int32{-2}}
	for want, path := range map[string]string{
		"row 1: the text is blank":                               written(t, "t.arrow", texts("a", " \n")...),
		"row 0: the two answers are the same":                    written(t, "f.arrow", pair),
		`row 1: the id "1" is that of another prompt too`:        written(t, "p.arrow", data.Prompt{ID: "1", Messages: asks("a").Messages}, data.Prompt{ID: "1", Messages: asks("b").Messages}),
		"row 0: log-probability 0 is 0.5, want a number up to 0": written(t, "s.arrow", sample),
		"row 0: token 0 has the id -2":                           written(t, "s.arrow", negative),
		`row 1: column "text" is null`:                           foreign(t, "a", ""),
	} {
		lines, err := tame(t, "", "data", "validate", path)
		assert.ErrorContains(t, err, "rows are bad", want)
		assert.Contains(t, strings.Join(lines, "\n"), want)
	}
	raw, err := os.ReadFile(good)
	require.NoError(t, err)
	_, err = tame(t, "", "data", "validate", file(t, "cut.arrow", string(raw[:len(raw)-20])), good)
	assert.ErrorContains(t, err, "cut.arrow: is cut off")
}

// Stopped commands leave nothing behind.
func TestDataCommandsStop(t *testing.T) {
	dir := t.TempDir()
	in := written(t, "in.arrow", numbered("x", 5000)...)
	words := file(t, "w.yaml", "a: [x]")
	tok := filepath.Join(tinyModel(t), "tokenizer.model")
	for _, args := range [][]string{
		{"mix", in, dir + "/out"}, {"shuffle", in, dir + "/out"}, {"split", in, dir + "/out", dir + "/out2"}, {"dedup", in, dir + "/out"},
		{"filter", in, dir + "/out"}, {"stats", in}, {"head", in}, {"validate", in}, {"representation", in, "--words", words},
		{"contamination", "--train", in, "--eval", in, "--tokenizer", tok},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		root := rootCommand()
		root.SetArgs(append([]string{"data"}, args...))
		root.SetOut(&bytes.Buffer{})
		root.SetErr(&bytes.Buffer{})
		assert.ErrorIs(t, root.ExecuteContext(ctx), context.Canceled, args[0])
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, left)
}
