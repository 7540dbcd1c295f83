package importer_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/importer"
)

// unused are the keys of a report that were not used, labels in brackets.
func unused(r importer.Report) (list []string) {
	for _, u := range r.Unused() {
		key := fmt.Sprintf("%s %d", u.Key, u.Rows)
		if u.Label {
			key = "(" + key + ")"
		}
		list = append(list, key)
	}
	return list
}

// Rows in the forms of public datasets keep what they mean.
func TestRowsKeepTheirMeaning(t *testing.T) {
	for name, c := range map[string]struct {
		rows, dialect string
		want          []data.Message
		weights       []float32
		unused        []string
	}{
		"Dolly":                     {`{"instruction": "When?", "context": "It was 1931.", "response": "In 1931.", "category": "closed_qa"}`, "alpaca", dialog("When?\n\nIt was 1931.", "In 1931."), nil, []string{"(category 1)"}},
		"OpenOrca":                  {`{"id": "x.1", "system_prompt": "Be kind.", "question": "Hi", "response": "Ho"}`, "completion", withSystem("Be kind.", dialog("Hi", "Ho")), nil, []string{"(id 1)"}},
		"OpenHermes":                {`{"system_prompt": null, "conversations": [{"from": "system", "value": "Be kind."}, {"from": "human", "value": "Hi", "weight": null}, {"from": "gpt", "value": "Ho"}], "topic": "x", "title": ""}`, "sharegpt", withSystem("Be kind.", dialog("Hi", "Ho")), nil, []string{"topic 1"}},
		"OpenHermes, prompt beside": {`{"system_prompt": "Be kind.", "conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}]}`, "sharegpt", withSystem("Be kind.", dialog("Hi", "Ho")), nil, nil},
		"system prompt twice":       {`{"system_prompt": "Be kind.", "conversations": [{"from": "system", "value": "Be kind."}, {"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}]}`, "sharegpt", withSystem("Be kind.", dialog("Hi", "Ho")), nil, nil},
		"BeaverTails, safe":         {`{"prompt": "Hi", "response": "Ho", "category": {"a": true}, "is_safe": true}`, "completion", dialog("Hi", "Ho"), nil, []string{"(category 1)"}},
		"AgentInstruct":             {`{"conversations": [{"from": "human", "loss": null, "value": "Hi"}, {"from": "gpt", "loss": false, "value": "OK."}, {"from": "human", "loss": null, "value": "Go"}, {"from": "gpt", "loss": true, "value": "Act: look"}], "id": "os_1"}`, "sharegpt", dialog("Hi", "OK.", "Go", "Act: look"), []float32{0, 0, 0, 1}, []string{"(id 1)"}},
		"weight":                    {`{"messages": [{"role": "system", "content": "s", "weight": 0}, {"role": "user", "content": "Hi", "weight": 0}, {"role": "assistant", "content": "a", "weight": 0}, {"role": "user", "content": "Ho"}, {"role": "assistant", "content": "b", "weight": 1}]}`, "messages", withSystem("s", dialog("Hi", "a", "Ho", "b")), []float32{0, 0, 0, 0, 1}, nil},
		"train":                     {`{"messages": [{"role": "user", "content": "Hi", "train": false}, {"role": "assistant", "content": "a", "train": true}]}`, "messages", dialog("Hi", "a"), nil, nil},
		"completion of messages":    {`{"prompt": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "a", "weight": 0}, {"role": "user", "content": "Ho"}], "completion": [{"role": "assistant", "content": "b"}]}`, "completion", dialog("Hi", "a", "Ho", "b"), []float32{0, 0, 0, 1}, nil},
		"empty tools":               {`{"tools": "[]", "images": [], "messages": [{"role": "user", "content": "Hi", "tool_calls": null, "name": ""}, {"role": "assistant", "content": "a", "tool_calls": []}]}`, "messages", dialog("Hi", "a"), nil, nil},
		"nested keys":               {`{"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi", "cache": 1}], "at": 1}, {"role": "assistant", "content": "a", "at": 2, "Weight": 0}]}`, "messages", dialog("Hi", "a"), nil, []string{"messages.Weight 1", "messages.at 1", "messages.content.cache 1"}},
		"prompt of the messages":    {`{"prompt": "Ho", "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "a"}, {"role": "user", "content": "Ho"}, {"role": "assistant", "content": "b"}]}`, "messages", dialog("Hi", "a", "Ho", "b"), nil, nil},
		"NeMo":                      {`{"system": "s", "mask": "User", "conversations": [{"from": "User", "value": "Hi"}, {"from": "Assistant", "value": "a"}]}`, "sharegpt", withSystem("s", dialog("Hi", "a")), nil, nil},
		"Llama 2":                   {`{"text": "<s>[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\nHi [/INST] a </s><s>[INST] Ho [/INST] b </s>"}`, "llama2", withSystem("Be kind.", dialog("Hi", "a", "Ho", "b")), nil, nil},
		"Llama 2 without ids":       {`{"text": "[INST] Hi [/INST] a [INST] Ho [/INST] b"}`, "llama2", dialog("Hi", "a", "Ho", "b"), nil, nil},
		"same answer twice":         {`{"instruction": "Hi", "output": "a", "response": " a\n"}`, "alpaca", dialog("Hi", "a"), nil, nil},
	} {
		got, dialect, report, err := importText[data.Conversation](t, importer.DefaultConfig(), c.rows)
		require.NoError(t, err, name)
		assert.Empty(t, refused(report), name)
		require.Len(t, got, 1, name)
		assert.Equal(t, c.dialect, dialect, name)
		assert.Equal(t, c.want, got[0].Messages, name)
		assert.Equal(t, c.weights, got[0].Weights, name)
		assert.Equal(t, c.unused, unused(report), name)
	}
}

// What cannot be kept, or contradicts itself, is refused by its reason.
func TestRowsThatCannotBeKept(t *testing.T) {
	messages := func(keys string) string {
		return `{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "a"` + keys + `}]}`
	}
	row := func(keys string) string { return `{` + keys + `, ` + messages("")[1:] }
	for rows, want := range map[string]string{
		messages(`, "tool_calls": [{"id": "1"}]`):  `"tool_calls" (in messages) is not empty: a dialogue of texts cannot hold the use of tools`,
		messages(`, "reasoning_content": "Hm."`):   `"reasoning_content" (in messages) is not empty: a dialogue of texts cannot hold hidden reasoning`,
		messages(`, "name": "Ann"`):                `"name" (in messages) is not empty`,
		messages(`, "mask": 1`):                    `"mask" (in messages) is not empty: whether it counts`,
		messages(`, "weight": -1`):                 "the weight of a message is -1, want a number of at least 0",
		messages(`, "weight": 1, "loss": false`):   `a message has two weights: 1, and "loss" is 0`,
		messages(`, "weight": 0`):                  "no answer to learn from: all have weight 0",
		messages(`, "value": "b"`):                 `"content" and "value" differ: 'a' and 'b'`,
		row(`"tools": [{"name": "f"}]`):            `"tools" is not empty`,
		row(`"images": ["a.png"]`):                 `"images" is not empty: only text can be used`,
		row(`"prompt": "Bye"`):                     `"prompt" and "messages" differ: 'Bye' and 'Hi'`,
		row(`"system": "a", "system_prompt": "b"`): `"system" and "system_prompt" differ`,
		row(`"is_safe": false`):                    `labelled as unsafe ("is_safe": false), so not an answer to learn: the dialect kto makes pairs`,
		`{"messages": [{"role": "user", "content": "Hi", "train": true}, {"role": "assistant", "content": "a"}]}`:                  "a message from user has the weight 1: only answers can be learned",
		`{"instruction": "Hi", "output": "It is a long answer: yes", "response": "It is a long answer: no"}`:                       `"output" and "response" differ: '...ong answer: yes' and '...ong answer: no'`,
		`{"instruction": "Hi", "input": "x", "context": "y", "output": "a"}`:                                                       `"input" and "context" differ`,
		`{"instruction": "Hi", "output": "a", "prompt": "Below is an instruction: Ho"}`:                                            `"prompt" and "instruction" differ`,
		`{"prompt": "Hi", "question": "Ho", "answer": "a"}`:                                                                        `"prompt" and "question" differ`,
		`{"prompt": "Hi", "answer": "a", "output": "b"}`:                                                                           `"answer" and "output" differ`,
		`{"prompt": "Hi", "prompt": "Ho", "answer": "b"}`:                                                                          `the key "prompt" is there twice`,
		`{"prompt": "Hi", "answer": "a\ud83d"}`:                                                                                    `"answer" has \ud83d, which is half of a character`,
		`{"prompt": "Hi", "answer": "a\uDE00 \ud83d\ude00"}`:                                                                       `"answer" has \uDE00`,
		`{"messages": [{"role": "user", "role": "user", "content": "Hi"}]}`:                                                        `the key "role" (in messages) is there twice`,
		`{"text": "<s>[INST] Hi [/INST] a </s> more"}`:                                                                             `the text has "more" where [INST] belongs`,
		`{"text": "<s>[INST] Hi"}`:                                                                                                 "[INST] is not followed by [/INST]",
		`{"text": "[INST] Hi <<SYS>>s<</SYS>> [/INST] a"}`:                                                                         "<<SYS>> is not at the beginning",
		`{"prompt": "Hi", "input": "x", "completion": [{"role": "user", "content": "Ho"}, {"role": "assistant", "content": "a"}]}`: `"prompt" and "messages" differ`,
	} {
		_, _, report, err := importText[data.Conversation](t, importer.DefaultConfig(), rows)
		require.NoError(t, err, rows)
		require.Len(t, report.Refused, 1, rows)
		assert.ErrorContains(t, report.Refused[0], want, rows)
	}
	for rows, want := range map[string]string{
		`{"prompt": "Hi", "chosen": [{"role": "user", "content": "Ho"}, {"role": "assistant", "content": "a"}], "rejected": [{"role": "user", "content": "Ho"}, {"role": "assistant", "content": "b"}]}`: `chosen: "prompt" and "messages" differ: 'Hi' and 'Ho'`,
		`{"prompt": "Hi", "messages": [{"role": "user", "content": "Ho"}], "chosen": "a", "rejected": "b"}`:                                                                                              `"prompt" and "messages" differ: 'Hi' and 'Ho'`,
		`{"prompt": "Hi", "chosen": "a", "chosen_response": "c", "rejected": "b"}`:                                                                                                                       `"chosen" and "chosen_response" differ`,
		`{"prompt": "Hi", "chosen": "a", "rejected": "b", "margin": 1, "score_chosen": 1, "score_rejected": 3}`:                                                                                          "the rejected answer has the better grade",
		`{"messages": [{"role": "user", "content": "Hi"}], "context": "x", "chosen": "a", "rejected": "b"}`:                                                                                              `there is an "input" or a "context" beside messages`,
	} {
		_, _, report, err := importText[data.Preference](t, importer.DefaultConfig(), rows)
		require.NoError(t, err, rows)
		require.Len(t, report.Refused, 1, rows)
		assert.ErrorContains(t, report.Refused[0], want, rows)
	}
}

// A prompt that is written as a dialogue is one, with the answers as texts or in it.
func TestPromptInTheFormOfHH(t *testing.T) {
	want := data.Preference{Messages: dialog("Hi", "Ho", "Bye"), Chosen: "a", Rejected: "b", Rating: data.Better}
	for _, row := range []string{
		`{"prompt": "\n\nHuman: Hi\n\nAssistant: Ho\n\nHuman: Bye\n\nAssistant:", "chosen": "a", "rejected": "b"}`,
		`{"prompt": "\n\nHuman: Hi\n\nAssistant: Ho\n\nHuman: Bye", "chosen": "\n\nHuman: Hi\n\nAssistant: Ho\n\nHuman: Bye\n\nAssistant: a", "rejected": "\n\nHuman: Hi\n\nAssistant: Ho\n\nHuman: Bye\n\nAssistant: b"}`,
		`{"chosen": "\r\n\r\nHuman: Hi\r\n\r\nAssistant: Ho\r\n\r\nHuman: Bye\r\n\r\nAssistant: a", "rejected": "\n\nHuman: Hi\n\nAssistant: Ho\n\nHuman: Bye\n\nAssistant: b"}`,
	} {
		got, _, report, err := importText[data.Preference](t, importer.DefaultConfig(), row)
		require.NoError(t, err, row)
		assert.Empty(t, refused(report), row)
		assert.Equal(t, []data.Preference{want}, got, row)
	}
}

// Safety labels make safety pairs.
func TestSafePairs(t *testing.T) {
	cfg := importer.DefaultConfig()
	cfg.As = "kto"
	got, _, report, err := importText[data.Preference](t, cfg, `{"prompt": "Hi", "response": "b", "is_safe": false}
{"prompt": "Hi", "response": "a", "is_safe": true}`)
	require.NoError(t, err)
	assert.Empty(t, refused(report))
	want := pair("Hi", "a", "b", data.Better)
	want.Set, want.ChosenSafe, want.RejectedSafe = data.SafetySet, data.Safe, data.Unsafe
	assert.Equal(t, []data.Preference{want}, got)
}

// Each best answer of a tree is learned once, with what was said before as its context.
func TestTreesOfMessages(t *testing.T) {
	rows := `{"message_id": "1", "parent_id": null, "role": "prompter", "text": "Hi", "lang": "en", "rank": null, "synthetic": false}
{"message_id": "2", "parent_id": "1", "role": "assistant", "text": "a", "rank": 0, "synthetic": false}
{"message_id": "3", "parent_id": "1", "role": "assistant", "text": "worse", "rank": 1, "synthetic": false}
{"message_id": "4", "parent_id": "2", "role": "prompter", "text": "Ho", "rank": null, "synthetic": false}
{"message_id": "5", "parent_id": "4", "role": "assistant", "text": "b", "rank": null, "synthetic": false}
{"message_id": "6", "parent_id": "9", "role": "assistant", "text": "lost", "rank": null, "synthetic": false}
{"message_id": "7", "parent_id": "1", "role": "assistant", "text": "gone", "deleted": true, "synthetic": false}`
	got, dialect, report, err := importText[data.Conversation](t, importer.DefaultConfig(), rows)
	require.NoError(t, err)
	assert.Equal(t, "oasst", dialect)
	require.Len(t, got, 2)
	assert.Equal(t, dialog("Hi", "a"), got[0].Messages)
	assert.Nil(t, got[0].Weights)
	assert.Equal(t, dialog("Hi", "a", "Ho", "b"), got[1].Messages)
	assert.Equal(t, []float32{0, 0, 0, 1}, got[1].Weights)
	assert.Equal(t, []string{`standard input:6: there is no message "9" before this one, which answers it: sort the rows so that a message comes after its parent`,
		`standard input:7: the message is deleted ("deleted": true)`}, refused(report))
	assert.Equal(t, 3, report.Skipped)
	assert.Equal(t, []string{"synthetic 7", "(lang 1)"}, unused(report))
}

// A grade that does not decide, and questions after the first, are not used, which is told.
func TestOnlyOneIsRead(t *testing.T) {
	_, _, report, err := importText[data.Preference](t, importer.DefaultConfig(), `{"prompt": "Hi", "response": "a", "score": 1, "rating": 5, "verbosity": 2}
{"prompt": "Hi", "response": "b", "score": 2, "rating": 1, "verbosity": 2}`)
	require.NoError(t, err)
	assert.Equal(t, []string{"rating 2", "verbosity 2"}, unused(report))
	_, _, report, err = importText[data.Prompt](t, importer.DefaultConfig(), `{"turns": ["Hi", "Ho"]}`)
	require.NoError(t, err)
	assert.Equal(t, []string{"(turns[1:] 1)"}, unused(report))
}

// Texts of tables and of JSON are rows; a separator is for plain text.
func TestTextOfRows(t *testing.T) {
	dir := t.TempDir()
	cfg := importer.DefaultConfig()
	cfg.As = "text"
	want := []data.Text{{Text: "one, a"}, {Text: "two"}}
	for name, content := range map[string]string{
		"a.csv": "text,x\n\"one, a\",1\ntwo,2\n", "a.tsv": "text\tx\none, a\t1\ntwo\t2\n", "a.csv.gz": zip(t, "text\n\"one, a\"\ntwo\n"),
		"a.jsonl": "{\"text\": \"one, a\"}\n{\"text\": \"two\"}\n", "a.txt": "{\"text\": \"one, a\"}\n{\"text\": \"two\"}\n", "a.json": `[{"text": "one, a"}, {"text": "two"}]`,
	} {
		got, im, err := importFiles[data.Text](t, cfg, nil, named(t, dir, name, content))
		require.NoError(t, err, name)
		assert.Equal(t, want, got, name)
		assert.Equal(t, 2, im.Report().Read)
	}
	got, _, err := importFiles[data.Text](t, cfg, strings.NewReader("[Music] one"), importer.Stdin)
	require.NoError(t, err)
	assert.Equal(t, []data.Text{{Text: "[Music] one"}}, got)
	cfg.Separator = "--"
	_, _, err = importFiles[data.Text](t, cfg, nil, filepath.Join(dir, "a.csv"))
	assert.ErrorContains(t, err, "a.csv has rows by its name, and a separator is for the documents of a plain text")
}

// Columns of our own datasets that a form does not have are not lost silently.
func TestUnusedColumnsOfOwn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.arrow")
	require.NoError(t, data.Write(path, []wider{{"a", 1}}, lineage))
	_, im, err := importFiles[data.Text](t, importer.DefaultConfig(), nil, path)
	require.NoError(t, err)
	assert.Equal(t, []string{"more 1"}, unused(im.Report()))
}

type wider struct {
	Text string `arrow:"text"`
	More int    `arrow:"more"`
}

func (wider) Schema() data.Schema { return data.Text{}.Schema() }
