package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tame-rlhf/tame/pkg/data"
)

// pairDialects are those in which a row compares two answers.
func pairDialects() []Dialect {
	answers := func(names ...string) []Key { return reads("the answers", names...) }
	asks := func(names ...string) []Key { return reads("the question", names...) }
	return []Dialect{
		dialect("hh", `{"chosen": "\n\nHuman: ...\n\nAssistant: ...", "rejected": "..."}`,
			func(f fields) bool { return !prompted(f) && f.starts("chosen", hhNames[data.User]) }, hhRows,
			reads("the whole dialogue, with the better and with the worse last answer", "chosen", "rejected")),
		dialect("preference", `{"prompt": ..., "chosen": ..., "rejected": ...}, texts or messages; optional "margin", "rating", ...`,
			func(f fields) bool {
				return (f.has("chosen", "rejected") || f.has("chosen_response", "rejected_response")) &&
					(prompted(f) || !f.starts("chosen", hhNames[data.User]))
			}, preferenceRows, dialogKeys,
			objects("the answers, or the whole dialogues", messageKeys, "chosen", "rejected", "chosen_response", "rejected_response"),
			reads("how much better the chosen answer is: 1 to 4, or its name", "rating"), reads("how much better the chosen answer is, see [strength](data.md#strength)", "margin"),
			reads("the grades of both answers, whose difference is the margin", "score_chosen", "score_rejected", "chosen_score", "rejected_score", "chosen-rating", "rejected-rating"),
			reads("`true`, `false`, or `safe`, `unsafe`, `unknown`", "chosen_safe", "rejected_safe"), reads("`helpfulness` or `safety`", "set")),
		dialect("anthropic-evals", `{"question": "...", "answer_matching_behavior": " (A)", "answer_not_matching_behavior": " (B)"}`,
			withKeys("question", "answer_matching_behavior", "answer_not_matching_behavior"), evalRows, asks("question"),
			reads("the chosen answer", "answer_matching_behavior"), reads("the other", "answer_not_matching_behavior"),
			reads("how sure it is that the answer shows the behaviour, from 0 to 1", "label_confidence"), labels("statement")),
		dialect("pku-saferlhf", `{"prompt": "...", "response_0": "...", "response_1": "...", "better_response_id": 0, "safer_response_id": 1, "is_response_0_safe": false, ...}`,
			func(f fields) bool {
				return f.has("prompt", "response_0", "response_1") && f.any("better_response_id", "safer_response_id")
			}, saferRows, asks("prompt"), answers("response_0", "response_1"), reads("0 or 1: a helpfulness pair", "better_response_id"),
			reads("0 or 1: a safety pair", "safer_response_id"), reads("the safety labels of both", "is_response_0_safe", "is_response_1_safe")),
		dialect("stack-exchange", `{"question": "...", "response_j": the better one, "response_k": "..."}`,
			withKeys("question", "response_j", "response_k"), judged(stackExchange), asks("question"), reads("the better answer", "response_j"), reads("the worse answer", "response_k"),
			labels("qid", "date", "metadata")),
		dialect("autoj", `{"prompt": "...", "response 1": "...", "response 2": "...", "label": 0 (the first), 1 or 2 (a tie)}`,
			withKeys("response 1", "response 2", "label"), judged(autoj), asks("prompt"), answers("response 1", "response 2"),
			reads("0: the first answer is better, 1: the second, 2: a tie", "label"), labels("scenario")),
		dialect("pandalm", `{"instruction": "...", "response1": "...", "response2": "...", "annotator1": 0 (a tie), 1 or 2, "annotator2": ...}`,
			withKeys("instruction", "response1", "response2", "annotator1"), judged(panda), asks("instruction"), inputKeys, answers("response1", "response2"),
			reads("a vote: 0 for a tie, 1 or 2", "annotator1", "annotator2", "annotator3"), labels("motivation_app", "cmp_key")),
		dialect("llmbar", `{"input": "...", "output_1": "...", "output_2": "...", "label": 1 or 2}`,
			func(f fields) bool { return f.has("input", "output_1", "output_2", "label") && !f.has("instruction") }, judged(llmbar),
			asks("input"), answers("output_1", "output_2"), reads("the better answer: 1 or 2", "label")),
		dialect("alpaca-eval", `{"instruction": "...", "output_1": "...", "output_2": "...", "preference": 1.0 (the first) to 2.0}`,
			withKeys("instruction", "output_1", "output_2", "preference"), judged(alpacaEval), asks("instruction"), inputKeys, answers("output_1", "output_2"),
			reads("1 plus the probability that the second answer is better", "preference"), labels("generator_1", "generator_2", "annotator")),
		dialect("helpsteer-preference", `{"prompt": "...", "response_1": "...", "response_2": "...", "preference_strength": -3 (the first) to 3}`,
			withKeys("prompt", "response_1", "response_2", "preference_strength"), judged(strength), objects("the question, or the dialogue up to it", messageKeys, "prompt"),
			answers("response_1", "response_2"), reads("-3 (the first answer) to 3 (the second)", "preference_strength"), labels("split")),
		dialect("arena", `{"conversation_a": [...], "conversation_b": [...], "winner": "model_a", "model_b" or "tie"}`,
			withKeys("conversation_a", "conversation_b", "winner"), judged(arena), objects("the dialogues", messageKeys, "conversation_a", "conversation_b"),
			reads("`model_a`, `model_b` or `tie ...`", "winner"), labels("model_a", "model_b", "judge", "turn", "tstamp")),
	}
}

// prompted says whether a preference row has its prompt apart from the answers.
func prompted(f fields) bool {
	return f.any("prompt", "messages", "conversations", "instruction", "question")
}

// evalRows reads Anthropic's evaluations: the answer that shows the behaviour is chosen. "label_confidence" is how sure
// it is that it does.
func evalRows(c Config, _ string) converter[data.Preference] {
	type row struct {
		Question   string
		Matching   string   `json:"answer_matching_behavior"`
		Other      string   `json:"answer_not_matching_behavior"`
		Confidence *float64 `json:"label_confidence"`
	}
	return each(func(r row) (data.Preference, error) {
		p, err := c.Preference.pair(between(asked(r.Question), r.Matching, r.Other, 1, nil))
		if r.Confidence != nil {
			p.Rating = c.Preference.thresholds(shareThresholds).Rate(2**r.Confidence - 1)
		}
		return p, err
	})
}

// saferRows reads double labels: a pair of the more helpful and the less helpful answer, and a pair of the safer and the
// less safe one, each with the safety labels of both.
func saferRows(c Config, _ string) converter[data.Preference] {
	type row struct {
		Prompt  string
		Answer0 *string         `json:"response_0"`
		Answer1 *string         `json:"response_1"`
		Better  *int            `json:"better_response_id"`
		Safer   *int            `json:"safer_response_id"`
		Safe0   json.RawMessage `json:"is_response_0_safe"`
		Safe1   json.RawMessage `json:"is_response_1_safe"`
	}
	return several(func(r row) (rows []data.Preference, err error) {
		if r.Answer0 == nil || r.Answer1 == nil || r.Better == nil && r.Safer == nil {
			return nil, errors.New(`no "response_0", no "response_1", or neither "better_response_id" nor "safer_response_id"`)
		}
		for _, judged := range []struct {
			set data.Set
			id  *int
		}{{data.HelpfulnessSet, r.Better}, {data.SafetySet, r.Safer}} {
			if judged.id == nil {
				continue
			}
			difference := 1.0
			safe := [2]json.RawMessage{r.Safe0, r.Safe1}
			switch *judged.id {
			case 0:
			case 1:
				difference = -1
				safe[0], safe[1] = safe[1], safe[0]
			default:
				return nil, fmt.Errorf("the better or safer response is %d, want 0 or 1", *judged.id)
			}
			p, err := c.Preference.pair(between(asked(r.Prompt), *r.Answer0, *r.Answer1, difference, nil))
			if err == nil {
				err = errors.Join(setSafety(&p.ChosenSafe, safe[0]), setSafety(&p.RejectedSafe, safe[1]))
			}
			if err != nil {
				return nil, err
			}
			p.Set = judged.set
			rows = append(rows, p)
		}
		return rows, nil
	})
}

func stackExchange(r struct {
	Question string
	Better   string `json:"response_j"`
	Worse    string `json:"response_k"`
}) (verdict, error) {
	return between(asked(r.Question), r.Better, r.Worse, 1, nil), nil
}

func autoj(r struct {
	Prompt string
	First  string `json:"response 1"`
	Second string `json:"response 2"`
	Label  *int
}) (verdict, error) {
	difference, err := choice(r.Label, 0, 1, 2)
	return between(asked(r.Prompt), r.First, r.Second, difference, nil), err
}

// choice is the difference that a label says: it is the first or the second answer, or a tie (-1: there are none).
func choice(label *int, first, second, tie int) (float64, error) {
	switch {
	case label == nil:
		return 0, errors.New("no label")
	case *label == first:
		return 1, nil
	case *label == second:
		return -1, nil
	case *label == tie && tie >= 0:
		return 0, nil
	}
	return 0, fmt.Errorf("the label is %d, which is neither answer", *label)
}

// panda reads the votes of three people; the strength is the share of the votes for an answer less those against it.
func panda(r struct {
	question
	Response1, Response2               string
	Annotator1, Annotator2, Annotator3 *int
}) (v verdict, err error) {
	sum, votes := 0.0, 0
	for _, label := range []*int{r.Annotator1, r.Annotator2, r.Annotator3} {
		if label == nil {
			continue
		}
		vote, err := choice(label, 1, 2, 0)
		if err != nil {
			return v, err
		}
		sum, votes = sum+vote, votes+1
	}
	if votes == 0 {
		return v, errors.New("no annotator")
	}
	prompt, err := r.dialog()
	return between(prompt, r.Response1, r.Response2, sum/float64(votes), &shareThresholds), err
}

func llmbar(r struct {
	Input   string
	Output1 string `json:"output_1"`
	Output2 string `json:"output_2"`
	Label   *int
}) (verdict, error) {
	difference, err := choice(r.Label, 1, 2, -1)
	return between(asked(r.Input), r.Output1, r.Output2, difference, nil), err
}

// alpacaEval reads the probability that the second answer is better, plus 1.
func alpacaEval(r struct {
	question
	Output1    string `json:"output_1"`
	Output2    string `json:"output_2"`
	Preference *float64
}) (v verdict, err error) {
	if r.Preference == nil || *r.Preference < 1 || *r.Preference > 2 {
		return v, errors.New(`"preference" is not between 1 and 2`)
	}
	prompt, err := r.dialog()
	return between(prompt, r.Output1, r.Output2, 3-2**r.Preference, &shareThresholds), err
}

func strength(r struct {
	Prompt   dialogOrText
	First    string   `json:"response_1"`
	Second   string   `json:"response_2"`
	Strength *float64 `json:"preference_strength"`
}) (v verdict, err error) {
	if r.Strength == nil {
		return v, errors.New(`no "preference_strength"`)
	}
	return between(withSystem("", r.Prompt.as(data.User)), r.First, r.Second, -*r.Strength, &stepThresholds), nil
}

func arena(r struct {
	A      dialogOrText `json:"conversation_a"`
	B      dialogOrText `json:"conversation_b"`
	Winner string
}) (verdict, error) {
	v := verdict{answers: [2]dialogOrText{r.A, r.B}}
	switch {
	case r.Winner == "model_a":
		v.difference = 1
	case r.Winner == "model_b":
		v.difference = -1
	case !strings.HasPrefix(r.Winner, "tie"):
		return v, fmt.Errorf(`"winner" is %q, want "model_a", "model_b" or "tie"`, r.Winner)
	}
	return v, nil
}
