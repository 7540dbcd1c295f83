package importer_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/importer"
)

// importText imports a text as standard input.
func importText[T data.Row](t *testing.T, cfg importer.Config, text string) ([]T, string, importer.Report, error) {
	t.Helper()
	im, err := importer.Open([]string{importer.Stdin}, strings.NewReader(text), cfg)
	if err != nil {
		return nil, "", importer.Report{}, err
	}
	var rows []T
	for row, err := range importer.Rows[T](context.Background(), im) {
		if err != nil {
			return rows, im.Files()[0].Dialect, im.Report(), err
		}
		rows = append(rows, row)
	}
	return rows, im.Files()[0].Dialect, im.Report(), nil
}

func pair(question, chosen, rejected string, rating data.Rating) data.Preference {
	return data.Preference{Messages: dialog(question), Chosen: chosen, Rejected: rejected, Rating: rating}
}

// The dialects of preferences, each with rows that it gives, in the words of its own documentation.
func TestPreferenceDialects(t *testing.T) {
	safe := pair("Hi", "b", "a", data.Better)
	safe.Set, safe.ChosenSafe, safe.RejectedSafe = data.SafetySet, data.Safe, data.Unsafe
	helpful := pair("Hi", "a", "b", data.Better)
	helpful.ChosenSafe, helpful.RejectedSafe = data.Unsafe, data.Safe
	const better, significantly, slightly, negligibly = data.Better, data.SignificantlyBetter, data.SlightlyBetter, data.NegligiblyBetter
	for _, c := range []struct {
		dialect, rows string
		want          []data.Preference
	}{
		{"hh", `{"chosen": "\n\nHuman: Hi\n\nAssistant: a", "rejected": "\n\nHuman: Hi\n\nAssistant: b"}`,
			[]data.Preference{pair("Hi", "a", "b", better)}},
		{"preference", `{"prompt": "Hi", "chosen": "a", "rejected": "b"}
			{"prompt": "Hi", "chosen": "a", "rejected": "b", "margin": 0.29}
			{"prompt": "Hi", "chosen": "a", "rejected": "b", "margin": 0.3}
			{"prompt": "Hi", "chosen": "a", "rejected": "b", "score_chosen": 8.5, "score_rejected": 7.5}
			{"prompt": "Hi", "chosen": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "a"}],
				"rejected": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "b"}], "chosen-rating": 5, "rejected-rating": 3}
			{"system": "", "question": "Hi", "chosen": "a", "rejected": "b", "margin": 0}
			{"chosen": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "a"}], "rejected": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "b"}]}
			{"instruction": "Hi", "chosen_response": "a", "rejected_response": "b"}`,
			[]data.Preference{pair("Hi", "a", "b", better), pair("Hi", "a", "b", negligibly), pair("Hi", "a", "b", slightly), pair("Hi", "a", "b", better),
				pair("Hi", "a", "b", significantly), pair("Hi", "a", "b", negligibly), pair("Hi", "a", "b", better), pair("Hi", "a", "b", better)}},
		{"anthropic-evals", `{"question": "Hi", "answer_matching_behavior": " (A)", "answer_not_matching_behavior": " (B)"}
			{"question": "Hi", "statement": "x", "label_confidence": 0.95, "answer_matching_behavior": " Yes", "answer_not_matching_behavior": " No"}`,
			[]data.Preference{pair("Hi", " (A)", " (B)", better), pair("Hi", " Yes", " No", significantly)}},
		{"pku-saferlhf", `{"prompt": "Hi", "response_0": "a", "response_1": "b", "is_response_0_safe": false, "is_response_1_safe": true, "better_response_id": 0, "safer_response_id": 1}`,
			[]data.Preference{helpful, safe}},
		{"stack-exchange", `{"question": "Hi", "response_j": "a", "response_k": "b"}`, []data.Preference{pair("Hi", "a", "b", better)}},
		{"autoj", `{"scenario": "x", "label": 1, "prompt": "Hi", "response 1": "a", "response 2": "b"}`, []data.Preference{pair("Hi", "b", "a", better)}},
		{"pandalm", `{"instruction": "Hi", "input": "", "response1": "a", "response2": "b", "annotator1": 1, "annotator2": 1, "annotator3": 1}
			{"instruction": "Hi", "input": "", "response1": "a", "response2": "b", "annotator1": 2, "annotator2": 0, "annotator3": 2}
			{"instruction": "Hi", "input": "", "response1": "a", "response2": "b", "annotator1": 1, "annotator2": 2, "annotator3": 1}
			{"instruction": "Hi", "input": "", "response1": "a", "response2": "b", "annotator1": 0, "annotator2": 0, "annotator3": 2}`,
			[]data.Preference{pair("Hi", "a", "b", significantly), pair("Hi", "b", "a", better), pair("Hi", "a", "b", slightly), pair("Hi", "b", "a", slightly)}},
		{"llmbar", `{"input": "Hi", "output_1": "a", "output_2": "b", "label": 2}`, []data.Preference{pair("Hi", "b", "a", better)}},
		{"alpaca-eval", `{"instruction": "Hi", "output_1": "a", "output_2": "b", "preference": 1.99}
			{"instruction": "Hi", "output_1": "a", "output_2": "b", "preference": 1.45}`,
			[]data.Preference{pair("Hi", "b", "a", significantly), pair("Hi", "a", "b", negligibly)}},
		{"helpsteer-preference", `{"prompt": "Hi", "response_1": "a", "response_2": "b", "preference_strength": -3}
			{"prompt": "Hi", "response_1": "a", "response_2": "b", "preference_strength": 1}`,
			[]data.Preference{pair("Hi", "a", "b", significantly), pair("Hi", "b", "a", slightly)}},
		{"arena", `{"conversation_a": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "a"}],
				"conversation_b": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "b"}], "winner": "model_b"}`,
			[]data.Preference{pair("Hi", "b", "a", better)}},
		{"kto", `{"prompt": "Hi", "completion": "a", "label": true}
			{"prompt": "Hi", "completion": "c", "label": true}
			{"prompt": "Ho", "completion": "d", "label": false}
			{"prompt": "Hi", "completion": "b", "label": false}
			{"prompt": [{"role": "user", "content": "Hi"}], "completion": [{"role": "assistant", "content": "e"}], "label": false}`,
			[]data.Preference{pair("Hi", "a", "b", better), pair("Hi", "c", "e", better)}},
		{"kto", `{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "b"}], "label": false}
			{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "a"}], "label": true}`,
			[]data.Preference{pair("Hi", "a", "b", better)}},
		{"scored", `{"prompt": "Hi", "response": "a", "helpfulness": 4, "verbosity": 1}
			{"prompt": "Ho", "response": "x", "helpfulness": 1}
			{"prompt": "Hi", "response": "b", "helpfulness": 3}
			{"prompt": "Hi", "response": "c", "helpfulness": 1}`,
			[]data.Preference{pair("Hi", "a", "b", better), pair("Hi", "a", "c", significantly), pair("Hi", "b", "c", significantly)}},
		{"scored", `{"prompt": "Hi", "response": "a", "gpt4_scores": [3, 2, 3]}
			{"prompt": "Hi", "response": "b", "gpt4_scores": [3, 3, 3]}`,
			[]data.Preference{pair("Hi", "b", "a", slightly)}},
		{"ultrafeedback", `{"instruction": "Hi", "models": ["x"], "completions": [{"response": "a", "overall_score": 6.0}, {"response": "b", "overall_score": 8.5}, {"response": "c", "overall_score": 6.0}]}`,
			[]data.Preference{pair("Hi", "b", "a", significantly), pair("Hi", "b", "c", significantly)}},
		{"nemo-attributes", `{"text": "<extra_id_0>System\n\n<extra_id_1>User\nHi\n<extra_id_1>Assistant\na\n<extra_id_2>", "label": [-100, -100, -100, -100, 4, 4, 4, 2, 2]}
			{"text": "<extra_id_0>System\n\n<extra_id_1>User\nHi\n<extra_id_1>Assistant\nb\n<extra_id_2>", "label": [-100, -100, -100, -100, 3.5, 4, 4, 2, 2]}`,
			[]data.Preference{pair("Hi", "a", "b", slightly)}},
	} {
		lines := strings.ReplaceAll(strings.ReplaceAll(c.rows, ",\n", ", "), "\t", "")
		got, dialect, report, err := importText[data.Preference](t, importer.DefaultConfig(), lines)
		require.NoError(t, err, c.dialect)
		assert.Equal(t, c.dialect, dialect)
		assert.Empty(t, report.Refused, c.dialect)
		assert.Equal(t, c.want, got, c.dialect)
	}
}

func TestConversationDialects(t *testing.T) {
	for dialect, rows := range map[string]string{
		"messages":      `{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "a"}]}`,
		"sharegpt":      `{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "a"}]}`,
		"alpaca":        `{"instruction": "Hi", "input": "", "output": "a"}`,
		"self-instruct": `{"instruction": "Hi", "instances": [{"input": "", "output": "a"}]}`,
		"completion":    `{"prompt": "Hi", "completion": "a"}`,
	} {
		got, found, report, err := importText[data.Conversation](t, importer.DefaultConfig(), rows)
		require.NoError(t, err, dialect)
		assert.Equal(t, dialect, found)
		assert.Empty(t, report.Refused, dialect)
		require.Len(t, got, 1, dialect)
		assert.Equal(t, dialog("Hi", "a"), got[0].Messages, dialect)
	}
	// Both spellings of a message.
	got, _, _, err := importText[data.Conversation](t, importer.DefaultConfig(),
		`{"conversations": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "a"}]}`+"\n"+`{"question": "Hi", "answer": "a"}`)
	require.ErrorContains(t, err, "of several dialects: sharegpt (1), completion (1)")
	assert.Empty(t, got)

	// Thumbs up as conversations.
	cfg := importer.DefaultConfig()
	cfg.As = "completion"
	got, _, report, err := importText[data.Conversation](t, cfg, `{"prompt": "Hi", "completion": "a", "label": true}`+"\n"+`{"prompt": "Hi", "completion": "b", "label": false}`)
	require.NoError(t, err)
	assert.Equal(t, dialog("Hi", "a"), got[0].Messages)
	assert.Equal(t, 1, report.NumRefused())
}

func TestPromptDialect(t *testing.T) {
	got, dialect, _, err := importText[data.Prompt](t, importer.DefaultConfig(), strings.Join([]string{
		`{"id": 7, "prompt": "a", "label": "unsafe"}`, `{"prompt": "b", "label": "safe"}`, `{"turns": ["c", "d"]}`, `{"instruction": "e"}`,
		`{"prompts_final": "f", "id": "sst"}`, `{"prompt": "g", "S": 0, "V2": 1}`, `{"prompt": "h", "S": 0}`,
	}, "\n"))
	require.NoError(t, err)
	assert.Equal(t, "prompts", dialect)
	var questions, safety []string
	for _, p := range got {
		questions = append(questions, p.Question())
		if p.Safety {
			safety = append(safety, p.Question())
		}
	}
	assert.Equal(t, []string{"a", "b", "c", "e", "f", "g", "h"}, questions)
	assert.Equal(t, []string{"a", "f", "g"}, safety)
	assert.Equal(t, []string{"7", "sst"}, []string{got[0].ID, got[4].ID})
}

// A row fits one dialect at most, or recognition could not tell.
func TestUnknownDialects(t *testing.T) {
	for text, want := range map[string]string{
		`{"x": 1, "y": 2}`:                             "its rows have the keys x, y, which no known dialect has: name one of alpaca, ",
		`{"x": 1}` + "\n" + `{"z": 1}`:                 "the keys x; or z, which",
		"hello\nworld":                                 "it is not JSON: it begins with",
		`{"text": "a"}` + "\n" + `{"prompt": "Hi"}`:    "its first 2 rows are of several dialects: prompts (1), text (1): name one",
		`[{"prompt": "Hi"}, {"messages": []}, {}, {}]`: "messages (1), prompts (1)",
	} {
		_, _, _, err := importText[data.Text](t, importer.DefaultConfig(), text)
		assert.ErrorContains(t, err, want, text)
		assert.ErrorContains(t, err, "standard input", text)
	}
	cfg := importer.DefaultConfig()
	cfg.As = "none"
	_, _, _, err := importText[data.Text](t, cfg, "")
	assert.ErrorContains(t, err, `unknown dialect "none", want one of alpaca, `)
	assert.Equal(t, 24, len(importer.Dialects()))
}

func TestTiesAndThresholds(t *testing.T) {
	rows := `{"prompt": "Hi", "response 1": "a", "response 2": "b", "label": 2}
{"prompt": "Hi", "response 1": "a", "response 2": "b", "label": 0}`
	cfg := importer.DefaultConfig()
	got, _, report, err := importText[data.Preference](t, cfg, rows)
	require.NoError(t, err)
	assert.Len(t, got, 1)
	assert.Equal(t, 1, report.Skipped)
	assert.Equal(t, []importer.ReasonCount{{Reason: importer.Reason{Text: "a tie: neither answer is better", Skipped: true}, Rows: 1}}, report.Reasons())
	cfg.Preference.KeepTies = true
	got, _, report, err = importText[data.Preference](t, cfg, rows)
	require.NoError(t, err)
	assert.Equal(t, []data.Preference{pair("Hi", "a", "b", data.NegligiblyBetter), pair("Hi", "a", "b", data.Better)}, got)
	assert.Zero(t, report.Skipped)

	cfg = importer.DefaultConfig()
	cfg.Preference.Thresholds = &importer.Thresholds{1, 10, 100}
	for difference, want := range map[float64]data.Rating{0.5: 1, 1: 2, 9.9: 2, 10: 3, 100: 4} {
		got, _, _, err = importText[data.Preference](t, cfg, fmt.Sprintf(
			`{"prompt": "Hi", "response": "a", "score": 0}`+"\n"+`{"prompt": "Hi", "response": "b", "score": %v}`, difference))
		require.NoError(t, err)
		assert.Equal(t, []data.Preference{pair("Hi", "b", "a", want)}, got)
	}
	for _, wrong := range []importer.Thresholds{{0, 1, 2}, {1, 1, 2}, {3, 2, 1}} {
		cfg.Preference.Thresholds = &wrong
		assert.ErrorContains(t, cfg.Validate(), "want three numbers above 0 that grow")
	}
	cfg = importer.DefaultConfig()
	cfg.Score = "verbosity"
	got, _, _, err = importText[data.Preference](t, cfg, `{"prompt": "Hi", "response": "a", "helpfulness": 4, "verbosity": 1}
{"prompt": "Hi", "response": "b", "helpfulness": 1, "verbosity": 2}`)
	require.NoError(t, err)
	assert.Equal(t, []data.Preference{pair("Hi", "b", "a", data.Better)}, got)
}

// Rows of a dialect that are no good say why.
func TestDialectsRefuse(t *testing.T) {
	for rows, want := range map[string]string{
		`{"prompt": "Hi", "response_0": "a", "response_1": "b", "better_response_id": 2}`:                                "is 2, want 0 or 1",
		`{"prompt": "Hi", "response_0": "a", "response_1": "b", "better_response_id": 0, "is_response_0_safe": "x"}`:     `unknown safety label "x"`,
		`{"prompt": "Hi", "response 1": "a", "response 2": "b", "label": 3}`:                                             "the label is 3, which is neither answer",
		`{"input": "Hi", "output_1": "a", "output_2": "b", "label": 0}`:                                                  "the label is 0",
		`{"instruction": "Hi", "output_1": "a", "output_2": "b", "preference": 3}`:                                       "not between 1 and 2",
		`{"prompt": "Hi", "chosen": "a", "rejected": "b", "margin": -1}`:                                                 "the rejected answer has the better grade",
		`{"instruction": "Hi", "completions": [{"overall_score": 1}]}`:                                                   `no "response"`,
		`{"instruction": "Hi", "completions": [{"response": "a"}]}`:                                                      "no grade: none of score, ",
		`{"text": "<extra_id_0>System\n\n<extra_id_1>Robot\nHi\n", "label": [0, 0, 0, 0, 1]}`:                            `a turn is from "Robot"`,
		`{"text": "<extra_id_0>System\n\n<extra_id_1>User\nHi\n<extra_id_1>Assistant\na\n", "label": [-100, -100]}`:      `no grade "helpfulness"`,
		`{"prompt": "Hi", "completion": "", "label": "x"}` + "\n" + `{"prompt": "Hi", "completion": "a", "label": true}`: `"label" is of the wrong kind: "x", want true or false`,
		`{"conversation_a": [], "conversation_b": [], "winner": "both"}`:                                                 `"winner" is "both"`,
		`{"instruction": "Hi", "response1": "a", "response2": "a", "annotator1": 1}`:                                     "the two answers are the same",
		`{"instruction": "Hi", "response1": "a", "response2": "b", "annotator1": 7}`:                                     "the label is 7",
		`{"question": "[INST]", "response_j": "a", "response_k": "b"}`:                                                   `has "[INST]"`,
		`{"prompt": "Hi", "response_1": "a", "response_2": "b", "preference_strength": "x"}`:                             "is of the wrong kind: string",
		`{"messages": [{"role": "user", "content": "Hi"}], "label": true}`:                                               "does not end with an answer",
		`{"question": "Hi", "answer_matching_behavior": "", "answer_not_matching_behavior": " No"}`:                      "the chosen answer is blank",
	} {
		_, _, report, err := importText[data.Preference](t, importer.DefaultConfig(), rows)
		require.NoError(t, err, rows)
		require.Len(t, report.Refused, 1, rows)
		assert.ErrorContains(t, report.Refused[0], want)
		assert.ErrorContains(t, report.Refused[0], "standard input:1: ")
	}
}
