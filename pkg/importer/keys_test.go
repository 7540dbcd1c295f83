package importer_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/importer"
)

// whole are rows of each dialect which together have every key that it reads.
var whole = map[string][]string{
	"hh": {`{"chosen": "\n\nHuman: Hi\n\nAssistant: a", "rejected": "\n\nHuman: Hi\n\nAssistant: b"}`},
	"preference": {
		`{"prompt": "Hi", "input": "x", "system": "s", "chosen": "a", "rejected": "b", "rating": 4, "chosen_safe": true, "rejected_safe": false, "set": "safety"}`,
		`{"instruction": "Hi", "context": "x", "system_prompt": "s", "chosen_response": "a", "rejected_response": "b", "margin": 2}`,
		`{"question": "Hi", "chosen": "a", "rejected": "b", "score_chosen": 3, "score_rejected": 1}`,
		`{"question": "Hi", "chosen": "a", "rejected": "b", "chosen_score": 3, "rejected_score": 1}`,
		`{"question": "Hi", "chosen": "a", "rejected": "b", "chosen-rating": 3, "rejected-rating": 1}`,
		`{"messages": [{"role": "user", "content": "Hi"}], "chosen": "a", "rejected": "b"}`,
		`{"conversations": [{"role": "user", "content": "Hi"}], "chosen": "a", "rejected": "b"}`,
	},
	"anthropic-evals": {`{"question": "Hi", "answer_matching_behavior": " (A)", "answer_not_matching_behavior": " (B)", "label_confidence": 0.99}`},
	"pku-saferlhf":    {`{"prompt": "Hi", "response_0": "a", "response_1": "b", "is_response_0_safe": false, "is_response_1_safe": true, "better_response_id": 0, "safer_response_id": 1}`},
	"stack-exchange":  {`{"question": "Hi", "response_j": "a", "response_k": "b"}`},
	"autoj":           {`{"prompt": "Hi", "response 1": "a", "response 2": "b", "label": 1}`},
	"pandalm": {`{"instruction": "Hi", "input": "x", "response1": "a", "response2": "b", "annotator1": 1, "annotator2": 1, "annotator3": 2}`,
		`{"instruction": "Hi", "context": "x", "response1": "a", "response2": "b", "annotator1": 1, "annotator2": 1, "annotator3": 0}`,
		`{"instruction": "Hi", "response1": "a", "response2": "b", "annotator1": 1, "annotator2": 2, "annotator3": 2}`},
	"llmbar":               {`{"input": "Hi", "output_1": "a", "output_2": "b", "label": 2}`},
	"alpaca-eval":          {`{"instruction": "Hi", "input": "x", "output_1": "a", "output_2": "b", "preference": 1.9}`, `{"instruction": "Hi", "context": "x", "output_1": "a", "output_2": "b", "preference": 1.9}`},
	"helpsteer-preference": {`{"prompt": "Hi", "response_1": "a", "response_2": "b", "preference_strength": -3}`},
	"arena": {`{"conversation_a": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "a"}],
		"conversation_b": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "b"}], "winner": "model_b"}`},
	"kto": {`{"prompt": "Hi", "completion": "a", "system": "s", "input": "x", "label": true}
		{"prompt": "Hi", "completion": "b", "system": "s", "input": "x", "label": false}`,
		`{"instruction": "Hi", "answer": "a", "system_prompt": "s", "context": "x", "is_safe": true}
		{"instruction": "Hi", "answer": "b", "system_prompt": "s", "context": "x", "is_safe": false}`,
		`{"question": "Hi", "response": "a", "label": true}
		{"question": "Hi", "output": "b", "label": false}`,
		`{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "b"}], "label": false}
		{"conversations": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "a"}], "label": true}`},
	"scored": {`{"prompt": "Hi", "system": "s", "input": "x", "response": "a", "score": 4}
		{"prompt": "Hi", "system": "s", "input": "x", "completion": "b", "overall_score": 1}`,
		`{"instruction": "Hi", "system_prompt": "s", "context": "x", "answer": "a", "helpfulness": 4}
		{"instruction": "Hi", "system_prompt": "s", "context": "x", "output": "b", "gpt4_scores": [1, 2]}`,
		`{"question": "Hi", "answer": "a", "scores": [4]}
		{"question": "Hi", "answer": "b", "rating": 1}
		{"question": "Hi", "answer": "b2", "fine-grained_score": 2}`},
	"ultrafeedback": {`{"instruction": "Hi", "input": "x", "system": "s", "completions": [{"response": "a", "score": 1}, {"response": "b", "overall_score": 2}, {"response": "c", "helpfulness": 3},
			{"response": "d", "gpt4_scores": [4]}, {"response": "e", "scores": [5]}, {"response": "f", "rating": 6}, {"response": "g", "fine-grained_score": 7}]}`,
		`{"prompt": "Hi", "context": "x", "system_prompt": "s", "completions": [{"response": "a", "score": 1}, {"response": "b", "score": 2}]}`,
		`{"question": "Hi", "completions": [{"response": "a", "score": 1}, {"response": "b", "score": 2}]}`},
	"nemo-attributes": {`{"text": "<extra_id_0>System\n\n<extra_id_1>User\nHi\n<extra_id_1>Assistant\na\n<extra_id_2>", "label": [0, 0, 0, 0, 4, 4, 4, 2, 2]}
		{"text": "<extra_id_0>System\n\n<extra_id_1>User\nHi\n<extra_id_1>Assistant\nb\n<extra_id_2>", "label": [0, 0, 0, 0, 3, 4, 4, 2, 2]}`},
	"messages": {
		`{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "a", "weight": 0}, {"from": "human", "value": "Ho"}, {"from": "gpt", "value": "b"}], "system": "s"}`,
		`{"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}, {"role": "assistant", "content": "a", "loss": 0.5}], "system_prompt": "s"}`,
		`{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "a", "train": false}, {"role": "user", "content": "Ho"}, {"role": "assistant", "content": "b", "training": 2}]}`,
		`{"prompt": "No", "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "a"}]}`,
		`{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "a"}], "label": false}`,
		`{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "a"}], "is_safe": false}`},
	"sharegpt": {
		`{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "a"}], "system": "s"}`,
		`{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "a"}], "system_prompt": "s"}`,
		`{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "a"}], "prompt": "No"}`,
		`{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "a"}], "label": "false"}`,
		`{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "a"}], "is_safe": 0}`,
		`{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "a"}], "mask": "Assistant"}`},
	"alpaca": {`{"instruction": "Hi", "input": "x", "output": "a", "system": "s", "history": [["Ho", "b"]]}`,
		`{"instruction": "Hi", "context": "x", "response": "a", "system_prompt": "s"}`, `{"instruction": "Hi", "reference": "a"}`, `{"instruction": "Hi", "output": "a", "prompt": "No"}`,
		`{"instruction": "Hi", "output": "a", "label": false}`, `{"instruction": "Hi", "output": "a", "is_safe": false}`},
	"self-instruct": {`{"instruction": "Hi", "instances": [{"input": "x", "output": "a"}]}`},
	"completion": {`{"prompt": "Hi", "input": "x", "completion": "a", "system": "s"}`, `{"question": "Hi", "context": "x", "answer": "a", "system_prompt": "s"}`,
		`{"question": "Hi", "response": "a"}`, `{"question": "Hi", "output": "a"}`, `{"prompt": "Hi", "output": "a", "label": false}`, `{"prompt": "Hi", "output": "a", "is_safe": false}`},
	"llama2": {`{"text": "<s>[INST] Hi [/INST] a </s>", "system": "s"}`, `{"text": "<s>[INST] Hi [/INST] a </s>", "system_prompt": "s"}`,
		`{"text": "<s>[INST] Hi [/INST] a </s>", "label": false}`, `{"text": "<s>[INST] Hi [/INST] a </s>", "is_safe": false}`},
	"oasst": {`{"message_id": "1", "parent_id": null, "role": "prompter", "text": "Hi"}
		{"message_id": "2", "parent_id": "1", "role": "assistant", "text": "a"}
		{"message_id": "3", "parent_id": "1", "role": "assistant", "text": "b", "rank": 1}
		{"message_id": "4", "parent_id": "1", "role": "assistant", "text": "c", "deleted": true}
		{"message_id": "5", "parent_id": "1", "role": "assistant", "text": "d", "review_result": false}`},
	"prompts": {`{"id": 7, "prompt": "Hi", "input": "x", "system": "s", "safety": true}`, `{"instruction": "Hi", "context": "x", "system_prompt": "s", "label": "unsafe"}`,
		`{"question": "Hi"}`, `{"turns": ["Hi"]}`, `{"prompts_final": "Hi"}`, `{"messages": [{"role": "user", "content": "Hi"}]}`, `{"conversations": [{"from": "user", "value": "Hi"}]}`,
		`{"prompt": "Hi", "S": 1}`, `{"prompt": "Hi", "H": 1}`, `{"prompt": "Hi", "V": 1}`, `{"prompt": "Hi", "HR": 1}`, `{"prompt": "Hi", "SH": 1}`, `{"prompt": "Hi", "S3": 1}`, `{"prompt": "Hi", "H2": 1}`, `{"prompt": "Hi", "V2": 1}`},
	"text": {`{"text": "a"}`},
}

// outcome is all that an import gives, as a text to compare.
func outcome(t *testing.T, dialect, rows string) string {
	t.Helper()
	cfg := importer.DefaultConfig()
	cfg.As = dialect
	var got any
	var report importer.Report
	var err error
	switch d := importer.Dialects()[slices.IndexFunc(importer.Dialects(), func(d importer.Dialect) bool { return d.Name == dialect })]; d.Rows.Name {
	case "text":
		got, _, report, err = importText[data.Text](t, cfg, rows)
	case "prompt":
		got, _, report, err = importText[data.Prompt](t, cfg, rows)
	case "conversation":
		got, _, report, err = importText[data.Conversation](t, cfg, rows)
	default:
		got, _, report, err = importText[data.Preference](t, cfg, rows)
	}
	require.NoError(t, err)
	return fmt.Sprintf("%+v %+v", got, report.Reasons())
}

// The table of keys tells the truth: each key that a dialect is said to read changes what a row gives, no other one does, each that is
// said to be refused is refused, and all others are counted.
func TestKeysOfDialects(t *testing.T) {
	for _, d := range importer.Dialects() {
		var read []string
		for _, key := range d.Keys {
			if key.Use == importer.KeyRead {
				read = append(read, key.Name)
			}
		}
		matters := map[string]bool{}
		require.NotEmpty(t, whole[d.Name], d.Name)
		for _, text := range whole[d.Name] {
			lines := strings.Split(strings.ReplaceAll(strings.ReplaceAll(text, ",\n", ", "), "\t", ""), "\n")
			base := outcome(t, d.Name, strings.Join(lines, "\n"))
			for i, line := range lines {
				var row map[string]json.RawMessage
				require.NoError(t, json.Unmarshal([]byte(line), &row), line)
				with := func(key, value string) string {
					changed := slices.Clone(lines)
					one := map[string]json.RawMessage{key: json.RawMessage(value)}
					for k, v := range row {
						if k != key {
							one[k] = v
						}
					}
					if value == "" {
						delete(one, key)
					}
					raw, err := json.Marshal(one)
					require.NoError(t, err)
					changed[i] = string(raw)
					return strings.Join(changed, "\n")
				}
				for key := range row {
					assert.Contains(t, read, key, "%s: %s", d.Name, line)
					if outcome(t, d.Name, with(key, "")) != base {
						matters[key] = true
					}
				}
				assert.Equal(t, base, outcome(t, d.Name, with("another key", `"x"`)), d.Name)
				if i > 0 {
					continue
				}
				for _, key := range slices.Concat(d.Keys, []importer.Key{{Name: "tools", Use: importer.KeyRefused}, {Name: "source", Use: importer.KeyLabel}}) {
					if changed := outcome(t, d.Name, with(key.Name, `["x"]`)); key.Use == importer.KeyLabel {
						assert.Equal(t, base, changed, "%s: %s", d.Name, key.Name)
					} else if key.Use == importer.KeyRefused {
						assert.Contains(t, changed, fmt.Sprintf("%q is not empty", key.Name))
					}
				}
			}
		}
		for _, key := range read {
			assert.True(t, matters[key], "%s: %q changes nothing", d.Name, key)
		}
	}
}
