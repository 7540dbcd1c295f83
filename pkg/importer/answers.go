package importer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tame-rlhf/tame/pkg/data"
)

// answerDialects are those in which a row is one answer with a label or a grade: pairs are made of the answers to one prompt.
func answerDialects() []Dialect {
	return []Dialect{
		dialect("kto", `{"prompt": ..., "completion": ..., "label": true or false}, or "messages" and "label"`, isKTO, thumbRows,
			dialogKeys, objects("the answer, or the whole dialogue", messageKeys, "completion"), reads("the answer", "answer", "response", "output"),
			reads("`true`: a good answer", "label"), reads("`true`: a safe answer, where there is no `label` (BeaverTails): gives safety pairs", "is_safe")),
		dialect("scored", `{"prompt": "...", "response": "...", "score": 4}; the grade may be "overall_score", "helpfulness", "gpt4_scores", ...`,
			func(f fields) bool {
				return f.any("prompt", "instruction", "question") && f.any("response", "completion", "answer", "output") && score(f, "") != ""
			}, scoredRows, promptKeys, reads("the answer", "response", "completion", "answer", "output"), gradeKeys, labels("rubric")),
		dialect("ultrafeedback", `{"instruction": "...", "completions": [{"response": "...", "overall_score": 7.5}, ...]}`,
			func(f fields) bool { return f.any("instruction", "prompt") && f.is("completions", '[') }, ultraRows,
			promptKeys, objects("the answers", slices.Concat(reads("the answer", "response"), gradeKeys), "completions"), labels("models")),
		dialect("nemo-attributes", `{"text": "<extra_id_0>System\n...<extra_id_1>User\n...", "label": nine numbers}`,
			func(f fields) bool { return f.is("label", '[') && f.starts("text", "<extra_id_0>") }, nemoRows,
			reads("the dialogue with its marks", "text"), reads("nine grades, of which "+"`helpfulness` or `--score` decides: "+strings.Join(nemoAttributes, ", "), "label")),
	}
}

// thumb is an answer that somebody liked or did not like.
type thumb struct {
	answer string
	liked  bool
	safety bool // it is about safety
}

// thumbRows makes pairs of a liked and a disliked answer to the same prompt; each answer is used once.
func thumbRows(c Config, _ string) converter[data.Preference] {
	type row struct {
		question
		Completion               dialogOrText
		Answer, Response, Output *string
		Messages, Conversations  []importedMessage
		quality
	}
	alone := 0
	waiting := newWaiting(func(left []thumb) { alone += len(left) })
	rows := several(func(r row) ([]data.Preference, error) {
		one := thumb{safety: r.Label == nil}
		switch {
		case r.Label != nil:
			one.liked = bool(*r.Label)
		case r.IsSafe != nil:
			one.liked = bool(*r.IsSafe)
		default:
			return nil, errors.New(`no "label" and no "is_safe", want true or false`)
		}
		dialog, err := r.dialog(r.Messages, r.Conversations)
		if err != nil {
			return nil, err
		}
		completion, err := r.Completion.or(named{"answer", r.Answer}, named{"response", r.Response}, named{"output", r.Output})
		if err == nil && !completion.empty() {
			dialog, err = completion.after(dialog)
		}
		if err != nil {
			return nil, err
		}
		prompt, answer, err := cutAnswer(dialog)
		if err != nil {
			return nil, err
		}
		id := data.DialogID(prompt)
		one.answer = answer
		others := waiting.answers[id]
		if len(others) > 0 && others[0].liked != one.liked {
			waiting.set(id, others[1:], -len(others[0].answer))
			p, err := c.Preference.thumbs(prompt, one, others[0])
			return []data.Preference{p}, err
		}
		waiting.set(id, append(others, one), len(answer))
		return nil, nil
	})
	rows.left = func() int {
		waiting.giveUp()
		return alone
	}
	return rows
}

// thumbs is the pair of an answer that was liked and one that was not.
func (c PreferenceConfig) thumbs(prompt []data.Message, a, b thumb) (data.Preference, error) {
	if b.liked {
		a, b = b, a
	}
	p, err := c.pair(between(prompt, a.answer, b.answer, 1, nil))
	if a.safety && b.safety {
		p.Set, p.ChosenSafe, p.RejectedSafe = data.SafetySet, data.Safe, data.Unsafe
	}
	return p, err
}

// cutAnswer cuts the last answer from a dialogue.
func cutAnswer(dialog []data.Message) (prompt []data.Message, answer string, err error) {
	if len(dialog) < 2 || dialog[len(dialog)-1].Role != data.Assistant {
		return nil, "", errors.New("the dialogue does not end with an answer")
	}
	prompt, answer = dialog[:len(dialog)-1], dialog[len(dialog)-1].Content
	if err := data.CheckPrompt(prompt); err != nil {
		return nil, "", err
	}
	return prompt, answer, data.CheckMessages(dialog)
}

// scoreKeys are where a grade is looked for, if no other key is asked for.
var scoreKeys = []string{"score", "overall_score", "helpfulness", "gpt4_scores", "scores", "rating", "fine-grained_score"}

// score is the key of a row's grade: a number or a list of numbers; "" if there is none.
func score(f fields, asked string) string {
	keys := scoreKeys
	if asked != "" {
		keys = []string{asked}
	}
	for _, key := range keys {
		if f.is(key, '0') || f.is(key, '[') && strings.Trim(string(f[key]), "[] \t\r\n,.-0123456789eE") == "" && strings.ContainsAny(string(f[key]), "0123456789") {
			return key
		}
	}
	return ""
}

// gradeOf reads the grade; of several it is the mean.
func gradeOf(f fields, asked string) (float64, error) {
	key := score(f, asked)
	if key == "" {
		if asked != "" {
			return 0, fmt.Errorf("no grade %q", asked)
		}
		return 0, fmt.Errorf("no grade: none of %s is a number", strings.Join(scoreKeys, ", "))
	}
	var one float64
	if json.Unmarshal(f[key], &one) == nil {
		return one, nil
	}
	var list []float64
	if err := json.Unmarshal(f[key], &list); err != nil || len(list) == 0 {
		return 0, fmt.Errorf("%q is no number", key)
	}
	for _, x := range list {
		one += x
	}
	return one / float64(len(list)), nil
}

// graded is an answer with its grade.
type graded struct {
	answer string
	grade  float64
	paired bool
}

// gradedPairs compares each new answer with all those to the same prompt before it.
type gradedPairs struct {
	cfg     PreferenceConfig
	waiting *waiting[graded]
	alone   int
}

func newGradedPairs(cfg PreferenceConfig) *gradedPairs {
	g := &gradedPairs{cfg: cfg}
	g.waiting = newWaiting(func(left []graded) {
		for _, one := range left {
			if !one.paired {
				g.alone++
			}
		}
	})
	return g
}

func (g *gradedPairs) left() int {
	g.waiting.giveUp()
	return g.alone
}

func (g *gradedPairs) add(prompt []data.Message, answer string, grade float64) ([]data.Preference, error) {
	if err := data.CheckPrompt(prompt); err != nil {
		return nil, err
	}
	id := data.DialogID(prompt)
	list := append(g.waiting.answers[id], graded{answer: answer, grade: grade})
	last := len(list) - 1
	var rows []data.Preference
	var failed error
	for i := range list[:last] {
		list[i].paired, list[last].paired = true, true
		p, err := g.cfg.pair(between(prompt, list[i].answer, answer, list[i].grade-grade, &pointThresholds))
		if err != nil {
			failed = err // other pairs of the answer may be all right
			continue
		}
		rows = append(rows, p)
	}
	g.waiting.set(id, list, len(answer))
	if len(rows) > 0 {
		failed = nil
	}
	return rows, failed
}

// scoredRows reads one graded answer a row.
func scoredRows(c Config, _ string) converter[data.Preference] {
	type row struct {
		question
		Response, Completion, Answer, Output *string
	}
	pairs := newGradedPairs(c.Preference)
	return converter[data.Preference]{left: pairs.left, rows: func(raw []byte) ([]data.Preference, error) {
		var r row
		var f fields
		if err := errors.Join(decode(raw, &r), decode(raw, &f)); err != nil {
			return nil, err
		}
		grade, err := gradeOf(f, c.Score)
		if err != nil {
			return nil, err
		}
		answer, err := oneOf(named{"response", r.Response}, named{"completion", r.Completion}, named{"answer", r.Answer}, named{"output", r.Output})
		if err == nil && answer == nil {
			err = errors.New("no answer")
		}
		if err != nil {
			return nil, err
		}
		prompt, err := r.dialog()
		if err != nil {
			return nil, err
		}
		return pairs.add(prompt, *answer, grade)
	}}
}

// ultraRows reads a row of several graded answers and compares each with each.
func ultraRows(c Config, _ string) converter[data.Preference] {
	type row struct {
		question
		Completions []fields
	}
	return several(func(r row) ([]data.Preference, error) {
		prompt, err := r.dialog()
		if err != nil {
			return nil, err
		}
		pairs := newGradedPairs(c.Preference)
		var all []data.Preference
		var failed error
		for _, completion := range r.Completions {
			var answer string
			if err := json.Unmarshal(completion["response"], &answer); err != nil {
				return nil, errors.New(`a completion has no "response"`)
			}
			grade, err := gradeOf(completion, c.Score)
			if err != nil {
				return nil, err
			}
			rows, err := pairs.add(prompt, answer, grade)
			if err != nil {
				failed = err
			}
			all = append(all, rows...)
		}
		if len(all) == 0 {
			return nil, cmp.Or(failed, error(errAlone))
		}
		return all, nil
	})
}

// nemoAttributes are the meanings of NeMo-Aligner's labels; -100 is unknown.
var nemoAttributes = []string{"quality", "toxicity", "humor", "creativity", "helpfulness", "correctness", "coherence", "complexity", "verbosity"}

// nemoRows reads a dialogue with marks and a grade for each attribute.
func nemoRows(c Config, _ string) converter[data.Preference] {
	type row struct {
		Text  string
		Label []float64
	}
	attribute := cmp.Or(c.Score, "helpfulness")
	pairs := newGradedPairs(c.Preference)
	rows := several(func(r row) ([]data.Preference, error) {
		i := slices.Index(nemoAttributes, attribute)
		if i < 0 {
			return nil, fmt.Errorf("no attribute %q, want one of %s", attribute, strings.Join(nemoAttributes, ", "))
		}
		if i >= len(r.Label) || r.Label[i] == -100 {
			return nil, fmt.Errorf("no grade %q", attribute)
		}
		dialog, err := parseNemo(r.Text)
		if err != nil {
			return nil, err
		}
		prompt, answer, err := cutAnswer(dialog)
		if err != nil {
			return nil, err
		}
		return pairs.add(prompt, answer, r.Label[i])
	})
	rows.left = pairs.left
	return rows
}

// parseNemo cuts "<extra_id_0>System\n...\n<extra_id_1>User\n...\n<extra_id_1>Assistant\n...\n<extra_id_2>".
func parseNemo(text string) ([]data.Message, error) {
	text, ok := strings.CutPrefix(text, "<extra_id_0>System\n")
	if !ok {
		return nil, errors.New("does not begin with <extra_id_0>System")
	}
	text, _, _ = strings.Cut(text, "<extra_id_2>")
	var turns []importedMessage
	parts := strings.Split(text, "<extra_id_1>")
	for _, turn := range parts[1:] {
		name, content, _ := strings.Cut(turn, "\n")
		role, ok := importedRoles[strings.ToLower(data.TrimSpace(name))]
		if !ok {
			return nil, fmt.Errorf("a turn is from %q, want User or Assistant", name)
		}
		turns = append(turns, said(role, strings.TrimSuffix(content, "\n")))
	}
	return withSystem(data.TrimSpace(parts[0]), turns), nil
}
