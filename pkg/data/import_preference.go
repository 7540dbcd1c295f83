package data

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// PreferenceConfig says what an importer takes for granted where rows do not say it themselves.
type PreferenceConfig struct {
	// Rating of a choice that was only "this one", without a strength. The paper's data has four points (section 3.2.1),
	// which decide on the margin of the ranking loss. Default Better.
	Rating Rating

	// Set is what the annotators judged. Default HelpfulnessSet.
	Set Set

	// Thresholds turn grades, votes and margins into a rating. Default nil: those of the dialect.
	Thresholds *Thresholds

	// KeepTies takes a tie as a pair with the first answer chosen, rated NegligiblyBetter. Default false: which answer is
	// chosen would be chance, and a ranking loss would learn from it.
	KeepTies bool
}

// DefaultPreferenceConfig returns Better and HelpfulnessSet.
func DefaultPreferenceConfig() PreferenceConfig {
	return PreferenceConfig{Rating: Better, Set: HelpfulnessSet}
}

// Validate reports all that is wrong with the config.
func (c PreferenceConfig) Validate() error {
	_, errRating := c.Rating.MarshalText()
	_, errSet := c.Set.MarshalText()
	var errThresholds error
	if c.Thresholds != nil {
		errThresholds = c.Thresholds.Validate()
	}
	return errors.Join(errRating, errSet, errThresholds)
}

// ImportHH reads rows {"chosen": "\n\nHuman: ...\n\nAssistant: ...", "rejected": "..."}: two dialogues that differ in
// their last answer, as in Anthropic's helpful and harmless data.
func ImportHH(path string, cfg PreferenceConfig) ([]Preference, ImportReport, error) {
	if err := cfg.Validate(); err != nil {
		return nil, ImportReport{}, err
	}
	return importAll(path, hhRows(cfg))
}

func hhRows(cfg PreferenceConfig) converter[Preference] {
	type row struct{ Chosen, Rejected string }
	return each(func(r row) (Preference, error) {
		chosen, err := parseHH(r.Chosen)
		if err != nil {
			return Preference{}, fmt.Errorf("chosen: %w", err)
		}
		rejected, err := parseHH(r.Rejected)
		if err != nil {
			return Preference{}, fmt.Errorf("rejected: %w", err)
		}
		return preference(cfg, chosen, rejected)
	})
}

// parseHH cuts a dialogue at its speakers' names.
func parseHH(text string) ([]Message, error) {
	var messages []Message
	for text != "" {
		at, role, name := nextSpeaker(text)
		if at != 0 {
			return nil, fmt.Errorf("does not begin with %q or %q", hhNames[User], hhNames[Assistant])
		}
		text = text[len(name):]
		end, _, _ := nextSpeaker(text)
		messages = append(messages, Message{role, trim(text[:end])})
		text = text[end:]
	}
	return messages, nil
}

var hhNames = []string{User: "\n\nHuman:", Assistant: "\n\nAssistant:"}

// nextSpeaker finds the first name in a text; at is the text's length if there is none.
func nextSpeaker(text string) (at int, role Role, name string) {
	at = len(text)
	for _, r := range []Role{User, Assistant} {
		if i := strings.Index(text, hhNames[r]); i >= 0 && i < at {
			at, role, name = i, r, hhNames[r]
		}
	}
	return at, role, name
}

// ImportPreferences reads rows of a prompt, a chosen and a rejected answer. The prompt is "prompt" (a text or messages),
// "messages" or "conversations", "instruction" (with "input") or "question", with an optional "system"; the answers are
// texts, messages, or whole dialogues that begin with the prompt. Optional are "rating" (1 to 4 or its name), or how much
// better the chosen answer is: "margin", or the answers' grades as "score_chosen" and "score_rejected", "chosen_score" and
// "rejected_score", "chosen-rating" and "rejected-rating"; then "chosen_safe" and "rejected_safe" (true, false or "safe",
// "unsafe", "unknown") and "set" ("helpfulness", "safety").
func ImportPreferences(path string, cfg PreferenceConfig) ([]Preference, ImportReport, error) {
	if err := cfg.Validate(); err != nil {
		return nil, ImportReport{}, err
	}
	return importAll(path, preferenceRows(cfg))
}

func preferenceRows(cfg PreferenceConfig) converter[Preference] {
	type row struct {
		System                  string
		Prompt                  dialogOrText
		Messages, Conversations []importedMessage
		Instruction, Input      string
		Question                json.RawMessage
		Chosen, Rejected        dialogOrText
		ChosenAnswer            dialogOrText `json:"chosen_response"`
		RejectedAnswer          dialogOrText `json:"rejected_response"`
		Rating                  json.RawMessage
		ChosenSafe              json.RawMessage `json:"chosen_safe"`
		RejectedSafe            json.RawMessage `json:"rejected_safe"`
		Set                     *Set
		margins
	}
	return each(func(r row) (p Preference, err error) {
		turns := slices.Concat(r.Messages, r.Conversations, r.Prompt.as(User))
		if len(turns) == 0 {
			question := withInput(r.Instruction, r.Input)
			if question == "" && len(r.Question) > 0 && r.Question[0] == '"' {
				_ = json.Unmarshal(r.Question, &question) // the row was valid JSON
			}
			if question != "" {
				turns = []importedMessage{{User, question}}
			}
		}
		if r.Chosen.empty() {
			r.Chosen, r.Rejected = r.ChosenAnswer, r.RejectedAnswer
		}
		prompt := withSystem(r.System, turns)
		if p, err = preference(cfg, r.Chosen.after(prompt), r.Rejected.after(prompt)); err != nil {
			return p, err
		}
		if r.Set != nil {
			p.Set = *r.Set
		}
		return p, errors.Join(r.rate(cfg, &p.Rating),
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
func (m margins) rate(cfg PreferenceConfig, to *Rating) error {
	margin := m.Margin
	for _, pair := range [][2]*float64{{m.ScoreChosen, m.ScoreRejected}, {m.ChosenScore, m.RejectedScore}, {m.ChosenRating, m.RejectedRating}} {
		if margin == nil && pair[0] != nil && pair[1] != nil {
			difference := *pair[0] - *pair[1]
			margin = &difference
		}
	}
	thresholds := pointThresholds
	if cfg.Thresholds != nil {
		thresholds = *cfg.Thresholds
	}
	switch {
	case margin == nil:
	case *margin < 0:
		return errors.New("the rejected answer has the better grade")
	default:
		*to = thresholds.Rate(*margin)
	}
	return nil
}

// preference is the pair of two dialogues that differ in their last answer.
func preference(cfg PreferenceConfig, chosen, rejected []Message) (Preference, error) {
	if len(chosen) == 0 || len(rejected) == 0 {
		return Preference{}, errors.New("no chosen or no rejected answer")
	}
	prompt, better := chosen[:len(chosen)-1], chosen[len(chosen)-1]
	promptToo, worse := rejected[:len(rejected)-1], rejected[len(rejected)-1]
	switch {
	case !slices.Equal(prompt, promptToo):
		return Preference{}, errors.New("the two dialogues differ before the last answer")
	case better.Role != Assistant || worse.Role != Assistant:
		return Preference{}, errors.New("the dialogues do not end with an answer")
	case trim(better.Content) == "":
		return Preference{}, errors.New("the chosen answer is blank")
	case trim(better.Content) == trim(worse.Content):
		return Preference{}, errors.New("the two answers are the same")
	}
	p := Preference{Messages: prompt, Chosen: better.Content, Rejected: worse.Content, Rating: cfg.Rating, Set: cfg.Set}
	if err := CheckMessages(chosen); err != nil {
		return p, err
	}
	return p, CheckMessages(rejected)
}

func setRating(to *Rating, raw json.RawMessage) error {
	if isNull(raw) {
		return nil
	}
	var number int
	if json.Unmarshal(raw, &number) == nil {
		*to = Rating(number)
		_, err := to.MarshalText()
		return err
	}
	return json.Unmarshal(raw, to)
}

func setSafety(to *Safety, raw json.RawMessage) error {
	if isNull(raw) {
		return nil
	}
	var safe bool
	if json.Unmarshal(raw, &safe) == nil {
		*to = Unsafe
		if safe {
			*to = Safe
		}
		return nil
	}
	return json.Unmarshal(raw, to)
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || bytes.Equal(raw, []byte("null")) }

// dialogOrText is a text, a message or a list of messages.
type dialogOrText struct {
	text     *string
	messages []importedMessage
}

// UnmarshalJSON reads either form.
func (d *dialogOrText) UnmarshalJSON(raw []byte) error {
	switch raw[0] {
	case '[':
		return json.Unmarshal(raw, &d.messages)
	case '{':
		d.messages = make([]importedMessage, 1)
		return json.Unmarshal(raw, &d.messages[0])
	default:
		return json.Unmarshal(raw, &d.text)
	}
}

func (d dialogOrText) empty() bool { return d.text == nil && len(d.messages) == 0 }

// as returns the messages; a text is one of that role.
func (d dialogOrText) as(role Role) []importedMessage {
	if d.text != nil {
		return []importedMessage{{role, *d.text}}
	}
	return d.messages
}

// after returns the dialogue that an answer makes with its prompt. Answers of several messages have the prompt in them
// already, with or without its system prompt.
func (d dialogOrText) after(prompt []Message) []Message {
	answer := withSystem("", d.as(Assistant))
	if len(answer) > 1 {
		if len(prompt) > 0 && prompt[0].Role == System && answer[0].Role != System {
			answer = append([]Message{prompt[0]}, answer...)
		}
		return answer
	}
	if len(answer) == 0 {
		return nil
	}
	return append(slices.Clone(prompt), answer...)
}
