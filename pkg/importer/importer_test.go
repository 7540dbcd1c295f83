package importer_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/importer"
)

func file(t *testing.T, text string) string {
	path := filepath.Join(t.TempDir(), "in.json")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

func zip(t *testing.T, text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.String()
}

// refused are the reasons of a report, with the file's folder left out.
func refused(r importer.Report) []string {
	var list []string
	for _, e := range r.Refused {
		list = append(list, strings.TrimPrefix(e.Error(), filepath.Dir(e.File)+"/"))
	}
	return list
}

// OpenAI's content may be a list of parts; an image is no text.
func TestImportContentParts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "parts.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(`{"messages": [{"role": "user", "content": [{"type": "text", "text": "What is "}, {"type": "text", "text": "this?"}]}, {"role": "assistant", "content": "A cat."}]}
{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}, {"role": "assistant", "content": "A cat."}]}
`), 0o644))
	rows, report, err := importer.Messages(path)
	require.NoError(t, err)
	require.Len(t, rows, 1)
	assert.Equal(t, "What is this?", rows[0].Messages[0].Content)
	require.Len(t, report.Refused, 1)
	assert.ErrorContains(t, report.Refused[0].Err, `a part of type "image_url", want text`)
}

func TestImportMessages(t *testing.T) {
	hi := []data.Conversation{{Messages: dialog("Hi", "Hello"), Source: "in.json"}}
	row := `{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}`
	for name, text := range map[string]string{
		"line":             row,
		"line feed":        row + "\n",
		"carriage return":  "\r\n" + row + "\r\n\r\n",
		"byte order mark":  "\ufeff" + row,
		"array":            "[" + row + "]",
		"array with space": " \n[\n" + row + "\n]\n",
		"gzip":             zip(t, row),
		"gzip array":       zip(t, "["+row+"]"),
		"from and value":   `{"messages": [{"from": "human", "value": "Hi"}, {"from": "GPT", "value": "Hello"}]}`,
		"blank system":     `{"system": " ", "messages": [{"role": "system", "content": ""}, ` + row[len(`{"messages": [`):],
		"good label":       `{"label": true, ` + row[1:],
	} {
		t.Run(name, func(t *testing.T) {
			got, report, err := importer.Messages(file(t, text))
			require.NoError(t, err)
			assert.Equal(t, hi, got)
			assert.Equal(t, importer.Report{Read: 1, Rows: 1}, report)
			assert.Equal(t, "1 rows taken", report.String())
		})
	}

	got, report, err := importer.Messages(file(t, `{"system": "Be kind.", `+row[1:]))
	require.NoError(t, err)
	assert.Empty(t, refused(report))
	assert.Equal(t, withSystem("Be kind.", dialog("Hi", "Hello")), got[0].Messages)

	for _, empty := range []string{"", "\n \n", "[]", zip(t, "")} {
		got, report, err = importer.Messages(file(t, empty))
		require.NoError(t, err)
		assert.Empty(t, got)
		assert.Zero(t, report)
	}
}

func TestImportRefusesRows(t *testing.T) {
	good := `{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}`
	bad := []string{
		`{"messages": 3}`,
		`{"messages": [{"role": "user"}]}`,
		`{"messages": [{"role": "observation", "content": "x"}]}`,
		`{"messages": [{"role": "user", "content": "[INST]"}, {"role": "assistant", "content": "Hello"}]}`,
		`{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": " "}]}`,
		`{"messages": [{"role": "user", "content": "Hi"}]}`,
		`{}`,
		`{"label": false, ` + good[1:],
		"{\"messages\": \"\xff\"}",
	}
	want := []string{
		"is of the wrong kind: number", "no role (or from) or no content", `from "observation"`, `has "[INST]"`,
		"message 1 (assistant) is blank", "no answer to learn from", "no user message", "bad example", "not valid UTF-8",
	}
	check := func(text string, line func(i int) int) {
		t.Helper()
		got, report, err := importer.Messages(file(t, text))
		require.NoError(t, err)
		assert.Len(t, got, len(bad))
		assert.Equal(t, len(bad), report.Rows)
		reasons := refused(report)
		require.Len(t, reasons, len(want), "%q", reasons)
		for i := range want {
			assert.Contains(t, reasons[i], want[i])
			assert.Contains(t, reasons[i], fmt.Sprintf("in.json:%d: ", line(i)))
		}
		assert.Contains(t, report.String(), "9 rows taken, 9 refused; the first: ")
		assert.ErrorIs(t, report.Refused[3], data.ErrTag)
	}
	lines := strings.Join(bad, "\n"+good+"\n\n") + "\n" + good
	check(lines, func(i int) int { return 1 + 3*i })
	array := "[\n" + strings.Join(bad, ",\n"+good+"\n,\n") + ",\n" + good + "\n]"
	check(array, func(i int) int { return 2 + 3*i })

	// One broken line does not stop the others.
	got, report, err := importer.Messages(file(t, good+"\n{\"messages\": [\n"+good))
	require.NoError(t, err)
	assert.Len(t, got, 2)
	assert.Equal(t, []string{"in.json:2: unexpected end of JSON input"}, refused(report))
}

func TestImportFails(t *testing.T) {
	good := `{"text": "a"}`
	for name, c := range map[string]struct{ text, want string }{
		"array cut off":  {"[" + good + ",\n", "in.json:2: the JSON array is broken: "},
		"array not shut": {"[" + good + "\n", "in.json:2: the JSON array is broken: unexpected EOF"},
		"array broken":   {"[" + good + ",\n\n{x}", "in.json:3: the JSON array is broken: "},
		"array and more": {"[" + good + "]\n]", "in.json:1: the JSON array is broken: something follows after it"},
		"gzip cut off":   {zip(t, good)[:20], "unexpected EOF"},
		"gzip no more":   {"\x1f\x8b", "in.json: "},
		"white space":    {strings.Repeat(" ", 1<<16), "nothing but white space"},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, err := importer.Text(file(t, c.text), "")
			assert.ErrorContains(t, err, "importer: ")
			assert.ErrorContains(t, err, c.want)
			assert.Empty(t, got)
		})
	}
	_, _, err := importer.Text("/nowhere/in.json", "")
	assert.ErrorIs(t, err, os.ErrNotExist)
	_, _, err = importer.Text("/nowhere/in.json", "--")
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestImportShareGPT(t *testing.T) {
	got, report, err := importer.ShareGPT(file(t, `[{"id": 1, "system": "Be kind.",
		"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]},
		{"conversations": [{"from": "gpt", "value": "Hello"}]}]`))
	require.NoError(t, err)
	assert.Equal(t, []data.Conversation{{Messages: withSystem("Be kind.", dialog("Hi", "Hello")), Source: "in.json"}}, got)
	assert.Equal(t, []string{"in.json:3: element 2: data: message 0 is from assistant, want user: after an optional system message, " +
		"user and assistant alternate"}, refused(report))
}

func TestImportAlpaca(t *testing.T) {
	got, report, err := importer.Alpaca(file(t, `[
		{"instruction": "Add.\n", "input": "1 2", "output": "3"},
		{"instruction": "Hi", "input": "", "output": "Hello"},
		{"instruction": "And?", "output": "4", "system": "Be kind.", "history": [["Add", "3"]]},
		{"instruction": "And?", "output": "4", "history": [["Add"]]},
		{"instruction": "Hi"}]`))
	require.NoError(t, err)
	require.Len(t, got, 3)
	assert.Equal(t, dialog("Add.\n\n1 2", "3"), got[0].Messages)
	assert.Equal(t, dialog("Hi", "Hello"), got[1].Messages)
	assert.Equal(t, withSystem("Be kind.", dialog("Add", "3", "And?", "4")), got[2].Messages)
	assert.Equal(t, []string{`in.json:5: element 4: "history" has an entry of 1 texts, want question and answer`,
		"in.json:6: element 5: data: message 1 (assistant) is blank"}, refused(report))
}

func TestImportHH(t *testing.T) {
	cfg := importer.PreferenceConfig{Rating: data.NegligiblyBetter, Set: data.SafetySet}
	got, report, err := importer.HH(file(t, strings.Join([]string{
		`{"chosen": "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Bye \n\nAssistant: Human: ok", "rejected": "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Bye \n\nAssistant:"}`,
		`{"chosen": "Hi", "rejected": "\n\nHuman: Hi"}`,
		`{"chosen": "\n\nHuman: Hi\n\nAssistant: a", "rejected": "\n\nHuman: Ho\n\nAssistant: b"}`,
		`{"chosen": "\n\nHuman: Hi\n\nAssistant: a", "rejected": "\n\nHuman: Hi\n\nAssistant: a "}`,
		`{"chosen": "\n\nHuman: Hi\n\nAssistant: ", "rejected": "\n\nHuman: Hi\n\nAssistant: a"}`,
		`{"chosen": "\n\nHuman: Hi", "rejected": "\n\nHuman: Ho"}`,
		`{"chosen": "\n\nHuman: Hi\n\nAssistant: a\n\nAssistant: b", "rejected": "\n\nHuman: Hi\n\nAssistant: a\n\nAssistant: c"}`,
		`{}`,
	}, "\n")), cfg)
	require.NoError(t, err)
	assert.Equal(t, []data.Preference{{Messages: dialog("Hi", "Hello", "Bye"), Chosen: "Human: ok",
		Rating: data.NegligiblyBetter, Set: data.SafetySet}}, got)
	want := []string{`chosen: does not begin with "\n\nHuman:"`, "differ before the last answer", "answers are the same",
		"chosen answer is blank", "do not end with an answer", "message 2 is from assistant", "no chosen or no rejected answer"}
	require.Len(t, report.Refused, len(want))
	for i := range want {
		assert.ErrorContains(t, report.Refused[i], want[i])
		assert.Equal(t, i+2, report.Refused[i].Line)
	}

	_, _, err = importer.HH(file(t, ""), importer.PreferenceConfig{Set: 9})
	assert.ErrorContains(t, err, "unknown rating 0")
	assert.ErrorContains(t, err, "unknown set 9")
	_, _, err = importer.Preferences(file(t, ""), importer.PreferenceConfig{})
	assert.Error(t, err)
}

func TestImportPreferences(t *testing.T) {
	cfg := importer.DefaultPreferenceConfig()
	hi := data.Preference{Messages: dialog("Hi"), Chosen: "a", Rejected: "b", Rating: data.Better}
	kind := hi
	kind.Messages = withSystem("Be kind.", hi.Messages)
	rated := hi
	rated.Rating, rated.ChosenSafe, rated.RejectedSafe, rated.Set = data.SignificantlyBetter, data.Safe, data.Unsafe, data.SafetySet
	labelled := hi
	labelled.Rating, labelled.RejectedSafe = data.NegligiblyBetter, data.Unsafe
	for row, want := range map[string]data.Preference{
		`"prompt": "Hi", "chosen": "a", "rejected": "b"`:                                                                                                                                       hi,
		`"system": "Be kind.", "prompt": "Hi", "chosen": "a", "rejected": "b"`:                                                                                                                 kind,
		`"prompt": [{"role": "user", "content": "Hi"}], "chosen": "a", "rejected": "b"`:                                                                                                        hi,
		`"messages": [{"role": "user", "content": "Hi"}], "chosen": "a", "rejected": "b"`:                                                                                                      hi,
		`"conversations": [{"from": "human", "value": "Hi"}], "chosen": {"from": "gpt", "value": "a"}, "rejected": "b"`:                                                                        hi,
		`"prompt": "Hi", "chosen": [{"role": "assistant", "content": "a"}], "rejected": "b"`:                                                                                                   hi,
		`"chosen": [{"role":"user","content":"Hi"},{"role":"assistant","content":"a"}], "prompt": "Hi", "rejected": "b"`:                                                                       hi,
		`"system": "Be kind.", "chosen": [{"role":"user","content":"Hi"},{"role":"assistant","content":"a"}], "rejected": [{"role":"user","content":"Hi"},{"role":"assistant","content":"b"}]`: kind,
		`"prompt": "Hi", "chosen": "a", "rejected": "b", "rating": 4, "chosen_safe": true, "rejected_safe": false, "set": "safety"`:                                                            rated,
		`"prompt": "Hi", "chosen": "a", "rejected": "b", "rating": "negligibly better / unsure", "chosen_safe": null, "rejected_safe": "unsafe"`:                                               labelled,
	} {
		got, report, err := importer.Preferences(file(t, "{"+row+"}"), cfg)
		require.NoError(t, err)
		assert.Empty(t, refused(report), row)
		assert.Equal(t, []data.Preference{want}, got, row)
	}
	for row, want := range map[string]string{
		`"prompt": "Hi", "chosen": "a", "rejected": "b", "rating": 5`:           "unknown rating 5",
		`"prompt": "Hi", "chosen": "a", "rejected": "b", "rating": "good"`:      `unknown rating "good"`,
		`"prompt": "Hi", "chosen": "a", "rejected": "b", "chosen_safe": "very"`: `unknown safety label "very"`,
		`"prompt": "Hi", "chosen": "a", "rejected": "b", "set": "x"`:            `unknown set "x"`,
		`"prompt": "Hi", "chosen": "a"`:                                         "no chosen or no rejected answer",
		`"prompt": "Hi", "chosen": 1, "rejected": "b"`:                          "is of the wrong kind: number",
		`"chosen": "a", "rejected": "b"`:                                        "from assistant, want user",
		`"prompt": "<<SYS>>", "chosen": "a", "rejected": "b"`:                   `has "<<SYS>>"`,
		`"prompt": "Hi", "chosen": "a", "rejected": "[/INST]"`:                  `has "[/INST]"`,
	} {
		got, report, err := importer.Preferences(file(t, "{"+row+"}"), cfg)
		require.NoError(t, err)
		assert.Empty(t, got)
		require.Len(t, report.Refused, 1, row)
		assert.ErrorContains(t, report.Refused[0], want)
	}
}

func TestImportPrompts(t *testing.T) {
	got, report, err := importer.Prompts(file(t, strings.Join([]string{
		`{"id": "7", "prompt": "Hi", "safety": true}`,
		`{"messages": [{"role": "user", "content": "Hi"}], "system": "Be kind."}`,
		`{"turns": ["Hi", "Bye"]}`,
		`{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}`,
	}, "\n")))
	require.NoError(t, err)
	assert.Equal(t, []data.Prompt{
		{ID: "7", Messages: dialog("Hi"), Safety: true},
		{ID: data.DialogID(withSystem("Be kind.", dialog("Hi"))), Messages: withSystem("Be kind.", dialog("Hi"))},
		{ID: data.DialogID(dialog("Hi")), Messages: dialog("Hi")},
	}, got)
	require.Len(t, report.Refused, 1)
	assert.ErrorContains(t, report.Refused[0], "want user")
}

func TestImportText(t *testing.T) {
	got, report, err := importer.Text(file(t, "{\"text\": \" a \"}\n{\"text\": \" \"}\n{\"content\": \"b\"}"), "")
	require.NoError(t, err)
	assert.Equal(t, []data.Text{{Text: " a "}}, got)
	assert.Equal(t, []string{`in.json:2: no "text"`, `in.json:3: no "text"`}, refused(report))

	got, report, err = importer.Text(file(t, "one\ntwo\n<|end|>\n<|end|>\n\nb\xff\n<|end|>three"), "<|end|>")
	require.NoError(t, err)
	assert.Equal(t, []data.Text{{Text: "one\ntwo"}, {Text: "three"}}, got)
	assert.Equal(t, []string{"in.json:6: not valid UTF-8"}, refused(report))
	assert.Equal(t, 2, report.Rows)
}

func TestRowErrorUnwraps(t *testing.T) {
	reason := errors.New("reason")
	e := importer.RowError{File: "a.jsonl", Line: 3, Err: reason}
	assert.Equal(t, "a.jsonl:3: reason", e.Error())
	assert.ErrorIs(t, e, reason)
}
