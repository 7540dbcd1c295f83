package data

import (
	"fmt"
	"math"
	"slices"

	"github.com/tame-rlhf/tame/internal/enum"
)

// Row is a row of a dataset: a struct whose exported fields carry `arrow:"name"` tags. The rows of the project are
// Text, Prompt, Conversation, Preference and Sample; a struct of one's own works too. Fields may be strings, bools,
// numbers, types with MarshalText and UnmarshalText (stored as text), pointers to these (nullable, may be missing in a
// file), and slices and structs of all that. A field tagged `arrow:"name,optional"` is left empty where a file has no such
// column; a slice tagged `arrow:"name,omitempty"` is optional too, and a file has its column only if a row has something there. If the row also has a method Validate() error, no invalid row is written or read.
type Row interface {
	// Schema names the row's form. It is called on the zero value.
	Schema() Schema
}

// Schema identifies the form of a dataset's rows.
type Schema struct {
	Name    string // such as "preference"
	Version int    // counts up when columns change their meaning
}

// String is such as "preference v1".
func (s Schema) String() string { return fmt.Sprintf("%s v%d", s.Name, s.Version) }

// Text is a document for pretraining (section 2).
type Text struct {
	Text string `arrow:"text"`
}

// Prompt is a dialogue that waits for an answer: what rejection sampling and PPO sample from.
type Prompt struct {
	ID       string    `arrow:"id"`       // names the prompt across datasets, for example DialogID
	Messages []Message `arrow:"messages"` // the last is the user's
	Safety   bool      `arrow:"safety"`   // tagged as a safety prompt: the safety reward decides (section 3.2.3)
}

// Conversation is a dialogue to learn from: supervised fine-tuning (section 3.1).
type Conversation struct {
	Messages []Message `arrow:"messages"`        // with at least one answer
	Source   string    `arrow:"source,optional"` // where it is from: an importer's file, a stage

	// Weights has a number of at least 0 for each message, by which its tokens count in the loss: 0 for answers that are only
	// context, and for all that is not an answer. None: every answer has weight 1.
	Weights []float32 `arrow:"weights,omitempty"`
}

// Preference is a prompt with two answers and an annotator's choice (section 3.2.1).
type Preference struct {
	Messages     []Message `arrow:"messages"` // the prompt; the last message is the user's
	Chosen       string    `arrow:"chosen"`
	Rejected     string    `arrow:"rejected"`
	Rating       Rating    `arrow:"rating"` // how much better the chosen answer is
	ChosenSafe   Safety    `arrow:"chosen_safe"`
	RejectedSafe Safety    `arrow:"rejected_safe"`
	Set          Set       `arrow:"set"` // what the annotator was asked to judge
}

// Sample is an answer that a model gave, as token ids, with the log-probabilities it was sampled with and its rewards.
type Sample struct {
	PromptID    string    `arrow:"prompt_id"`
	Messages    []Message `arrow:"messages"`  // the prompt as text
	Prompt      []int32   `arrow:"prompt"`    // the prompt's ids, as sampled from
	Tokens      []int32   `arrow:"tokens"`    // the answer's ids, with EOS if Finished
	LogProbs    []float32 `arrow:"log_probs"` // natural, of each of Tokens, temperature included; or none
	Text        string    `arrow:"text"`      // the answer decoded, for readers and for text-based stages
	Finished    bool      `arrow:"finished"`  // ended by itself, not by the length limit
	Helpfulness *float64  `arrow:"helpfulness"`
	Safety      *float64  `arrow:"safety"`
	Combined    *float64  `arrow:"combined"`
	Version     int       `arrow:"version"`     // RLHF version of the sampling model: 0 before RLHF, then 1 for V1 ...
	Temperature float64   `arrow:"temperature"` // of sampling
}

// Schema is text v1.
func (Text) Schema() Schema { return Schema{"text", 1} }

// Schema is prompt v1.
func (Prompt) Schema() Schema { return Schema{"prompt", 1} }

// Schema is conversation v1.
func (Conversation) Schema() Schema { return Schema{"conversation", 1} }

// Schema is preference v1.
func (Preference) Schema() Schema { return Schema{"preference", 1} }

// Schema is sample v1.
func (Sample) Schema() Schema { return Schema{"sample", 1} }

// Validate wants an ID and a dialogue that waits for an answer.
func (p Prompt) Validate() error {
	if p.ID == "" {
		return fmt.Errorf("data: prompt has no id: use DialogID")
	}
	return CheckPrompt(p.Messages)
}

// Validate wants an alternating dialogue with at least one answer that counts.
func (c Conversation) Validate() error {
	if err := checkTurns(c.Messages); err != nil {
		return err
	}
	if n := len(c.Weights); n != 0 && n != len(c.Messages) {
		return fmt.Errorf("data: conversation has %d weights for %d messages", n, len(c.Messages))
	}
	for i, w := range c.Weights {
		switch {
		case !(w >= 0 && w <= math.MaxFloat32):
			return fmt.Errorf("data: message %d has the weight %v, want a number of at least 0", i, w)
		case w != 0 && c.Messages[i].Role != Assistant:
			return fmt.Errorf("data: message %d (%v) has the weight %v, want 0: only answers are learned", i, c.Messages[i].Role, w)
		}
	}
	for i, m := range c.Messages {
		if m.Role == Assistant && c.weight(i) > 0 {
			return nil
		}
	}
	if len(c.Weights) > 0 {
		return fmt.Errorf("data: conversation has no answer to learn from: all have weight 0")
	}
	return fmt.Errorf("data: conversation has no answer to learn from")
}

// weight is that of an answer.
func (c Conversation) weight(message int) float32 {
	if len(c.Weights) == 0 {
		return 1
	}
	return c.Weights[message]
}

// Validate wants a prompt that waits for an answer; answers may be empty.
func (p Preference) Validate() error { return CheckPrompt(p.Messages) }

// Dialogs returns the prompt with the chosen and with the rejected answer.
func (p Preference) Dialogs() (chosen, rejected []Message) {
	with := func(answer string) []Message { return slices.Concat(p.Messages, []Message{{Assistant, answer}}) }
	return with(p.Chosen), with(p.Rejected)
}

// Validate wants a prompt, and a log-probability for every token or for none.
func (s Sample) Validate() error {
	if len(s.Prompt) == 0 {
		return fmt.Errorf("data: sample has no prompt ids")
	}
	if len(s.LogProbs) != 0 && len(s.LogProbs) != len(s.Tokens) {
		return fmt.Errorf("data: sample has %d log-probabilities for %d tokens", len(s.LogProbs), len(s.Tokens))
	}
	return nil
}

// Rating is the annotator's four-point scale of a choice (section 3.2.1).
type Rating int

// The points of the scale, in the words of the paper.
const (
	NegligiblyBetter    Rating = iota + 1 // or unsure
	SlightlyBetter                        //
	Better                                //
	SignificantlyBetter                   //
)

var ratingNames = []string{
	NegligiblyBetter:    "negligibly better / unsure",
	SlightlyBetter:      "slightly better",
	Better:              "better",
	SignificantlyBetter: "significantly better",
}

// String is the paper's name of the point.
func (r Rating) String() string { return enum.String("Rating", r, ratingNames) }

// MarshalText is String for known ratings.
func (r Rating) MarshalText() ([]byte, error) { return enum.Marshal("rating", r, ratingNames) }

// UnmarshalText reads what MarshalText writes.
func (r *Rating) UnmarshalText(text []byte) error {
	return enum.Unmarshal("rating", text, r, ratingNames)
}

// Safety is the safety label of an answer. The zero value says that nobody labelled it.
type Safety int

// The labels.
const (
	SafetyUnknown Safety = iota
	Safe
	Unsafe
)

var safetyNames = []string{SafetyUnknown: "unknown", Safe: "safe", Unsafe: "unsafe"}

// String is unknown, safe or unsafe.
func (s Safety) String() string { return enum.String("Safety", s, safetyNames) }

// MarshalText is String for known labels.
func (s Safety) MarshalText() ([]byte, error) {
	return enum.Marshal("safety label", s, safetyNames)
}

// UnmarshalText reads what MarshalText writes.
func (s *Safety) UnmarshalText(text []byte) error {
	return enum.Unmarshal("safety label", text, s, safetyNames)
}

// Set says what a preference is about: which of the two reward models it belongs to first of all.
type Set int

// The two sets.
const (
	HelpfulnessSet Set = iota
	SafetySet
)

var setNames = []string{HelpfulnessSet: "helpfulness", SafetySet: "safety"}

// String is helpfulness or safety.
func (s Set) String() string { return enum.String("Set", s, setNames) }

// MarshalText is String for known sets.
func (s Set) MarshalText() ([]byte, error) { return enum.Marshal("set", s, setNames) }

// UnmarshalText reads what MarshalText writes.
func (s *Set) UnmarshalText(text []byte) error {
	return enum.Unmarshal("set", text, s, setNames)
}
