package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tame-rlhf/tame/pkg/data"
)

// HH reads rows {"chosen": "\n\nHuman: ...\n\nAssistant: ...", "rejected": "..."}: two dialogues that differ in
// their last answer, as in Anthropic's helpful and harmless data.
func HH(path string, cfg PreferenceConfig) ([]data.Preference, Report, error) {
	return importPairs(path, cfg, "hh")
}

func hhRows(c Config, _ string) converter[data.Preference] {
	type row struct{ Chosen, Rejected string }
	return each(func(r row) (data.Preference, error) {
		chosen, err := parseHH(r.Chosen)
		if err != nil {
			return data.Preference{}, fmt.Errorf("chosen: %w", err)
		}
		rejected, err := parseHH(r.Rejected)
		if err != nil {
			return data.Preference{}, fmt.Errorf("rejected: %w", err)
		}
		return preference(c.Preference, chosen, rejected)
	})
}

// parseHH cuts a dialogue at its speakers' names.
func parseHH(text string) ([]data.Message, error) {
	var messages []data.Message
	text = unixLines(text)
	for text != "" {
		at, role, name := nextSpeaker(text)
		if at != 0 {
			return nil, fmt.Errorf("does not begin with %q or %q", hhNames[data.User], hhNames[data.Assistant])
		}
		text = text[len(name):]
		end, _, _ := nextSpeaker(text)
		messages = append(messages, data.Message{Role: role, Content: data.TrimSpace(text[:end])})
		text = text[end:]
	}
	return messages, nil
}

// unixLines is a text with the line ends that the speakers' names are known by, where it begins with others.
func unixLines(text string) string {
	if strings.HasPrefix(text, "\r\n\r\n") {
		return strings.ReplaceAll(text, "\r\n", "\n")
	}
	return text
}

// dialogHH cuts a text that begins with a question of such a dialogue; ok is false for any other. It may end with the name of the one
// who is to answer.
func dialogHH(text string) (dialog []importedMessage, ok bool, err error) {
	if !strings.HasPrefix(unixLines(text), hhNames[data.User]) {
		return nil, false, nil
	}
	messages, err := parseHH(text)
	if n := len(messages); n > 0 && messages[n-1] == (data.Message{Role: data.Assistant}) {
		messages = messages[:n-1]
	}
	for _, m := range messages {
		dialog = append(dialog, said(m.Role, m.Content))
	}
	return dialog, true, err
}

var hhNames = []string{data.User: "\n\nHuman:", data.Assistant: "\n\nAssistant:"}

// nextSpeaker finds the first name in a text; at is the text's length if there is none.
func nextSpeaker(text string) (at int, role data.Role, name string) {
	at = len(text)
	for _, r := range []data.Role{data.User, data.Assistant} {
		if i := strings.Index(text, hhNames[r]); i >= 0 && i < at {
			at, role, name = i, r, hhNames[r]
		}
	}
	return at, role, name
}

// Preferences reads rows of a prompt, a chosen and a rejected answer. The prompt is "prompt" (a text or messages),
// "messages" or "conversations", "instruction" (with "input") or "question", with an optional "system"; the answers are
// texts, messages, or whole dialogues that begin with the prompt. Optional are "rating" (1 to 4 or its name), or how much
// better the chosen answer is: "margin", or the answers' grades as "score_chosen" and "score_rejected", "chosen_score" and
// "rejected_score", "chosen-rating" and "rejected-rating"; then "chosen_safe" and "rejected_safe" (true, false or "safe",
// "unsafe", "unknown") and "set" ("helpfulness", "safety").
func Preferences(path string, cfg PreferenceConfig) ([]data.Preference, Report, error) {
	return importPairs(path, cfg, "preference")
}

func importPairs(path string, cfg PreferenceConfig, dialect string) ([]data.Preference, Report, error) {
	if err := cfg.Validate(); err != nil {
		return nil, Report{}, err
	}
	return importAll[data.Preference](path, Config{As: dialect, Preference: cfg})
}

func preferenceRows(c Config, _ string) converter[data.Preference] {
	type row struct {
		question
		Messages, Conversations []importedMessage
		Chosen, Rejected        dialogOrText
		ChosenAnswer            dialogOrText `json:"chosen_response"`
		RejectedAnswer          dialogOrText `json:"rejected_response"`
		Rating                  json.RawMessage
		ChosenSafe              json.RawMessage `json:"chosen_safe"`
		RejectedSafe            json.RawMessage `json:"rejected_safe"`
		Set                     *data.Set
		margins
	}
	return each(func(r row) (p data.Preference, err error) {
		prompt, err := r.dialog(r.Messages, r.Conversations)
		if err != nil {
			return p, err
		}
		for _, answers := range []struct {
			name        string
			one, second *dialogOrText
		}{{"chosen", &r.Chosen, &r.ChosenAnswer}, {"rejected", &r.Rejected, &r.RejectedAnswer}} {
			if answers.one.empty() {
				*answers.one = *answers.second
			} else if _, err := oneOf(named{answers.name, answers.one.last()}, named{answers.name + "_response", answers.second.last()}); err != nil {
				return p, err
			}
		}
		if p, err = c.Preference.compared(prompt, r.Chosen, r.Rejected); err != nil {
			return p, err
		}
		if r.Set != nil {
			p.Set = *r.Set
		}
		return p, errors.Join(r.rate(c.Preference, &p.Rating),
			setRating(&p.Rating, r.Rating), setSafety(&p.ChosenSafe, r.ChosenSafe), setSafety(&p.RejectedSafe, r.RejectedSafe))
	})
}

// margins are the ways in which rows say how much better the chosen answer is.
type margins struct {
	Margin         *float64
	ScoreChosen    *float64 `json:"score_chosen"`
	ScoreRejected  *float64 `json:"score_rejected"`
	ChosenScore    *float64 `json:"chosen_score"`
	RejectedScore  *float64 `json:"rejected_score"`
	ChosenRating   *float64 `json:"chosen-rating"`
	RejectedRating *float64 `json:"rejected-rating"`
}

// rate sets the rating if there is a margin.
func (m margins) rate(cfg PreferenceConfig, to *data.Rating) error {
	margin := m.Margin
	against := margin != nil && *margin < 0
	for _, pair := range [][2]*float64{{m.ScoreChosen, m.ScoreRejected}, {m.ChosenScore, m.RejectedScore}, {m.ChosenRating, m.RejectedRating}} {
		if pair[0] == nil || pair[1] == nil {
			continue
		}
		difference := *pair[0] - *pair[1]
		against = against || difference < 0
		if margin == nil {
			margin = &difference
		}
	}
	if against {
		return errors.New("the rejected answer has the better grade")
	}
	if margin != nil {
		*to = cfg.thresholds(pointThresholds).Rate(*margin)
	}
	return nil
}

// compared is the pair of two answers, or of two dialogues that have the prompt in them.
func (c PreferenceConfig) compared(prompt []data.Message, chosen, rejected dialogOrText) (data.Preference, error) {
	better, err := chosen.after(prompt)
	if err != nil {
		return data.Preference{}, fmt.Errorf("chosen: %w", err)
	}
	worse, err := rejected.after(prompt)
	if err != nil {
		return data.Preference{}, fmt.Errorf("rejected: %w", err)
	}
	return preference(c, better, worse)
}

// preference is the pair of two dialogues that differ in their last answer.
func preference(cfg PreferenceConfig, chosen, rejected []data.Message) (data.Preference, error) {
	if len(chosen) == 0 || len(rejected) == 0 {
		return data.Preference{}, errors.New("no chosen or no rejected answer")
	}
	prompt, better := chosen[:len(chosen)-1], chosen[len(chosen)-1]
	promptToo, worse := rejected[:len(rejected)-1], rejected[len(rejected)-1]
	switch {
	case !slices.Equal(prompt, promptToo):
		return data.Preference{}, errors.New("the two dialogues differ before the last answer")
	case better.Role != data.Assistant || worse.Role != data.Assistant:
		return data.Preference{}, errors.New("the dialogues do not end with an answer")
	}
	p := data.Preference{Messages: prompt, Chosen: better.Content, Rejected: worse.Content, Rating: cfg.Rating, Set: cfg.Set}
	return p, data.Check(p)
}

func setRating(to *data.Rating, raw json.RawMessage) error {
	if isNull(raw) {
		return nil
	}
	var number int
	if json.Unmarshal(raw, &number) == nil {
		*to = data.Rating(number)
		_, err := to.MarshalText()
		return err
	}
	return json.Unmarshal(raw, to)
}

func setSafety(to *data.Safety, raw json.RawMessage) error {
	if isNull(raw) {
		return nil
	}
	var safe bool
	if json.Unmarshal(raw, &safe) == nil {
		*to = data.Unsafe
		if safe {
			*to = data.Safe
		}
		return nil
	}
	return json.Unmarshal(raw, to)
}
