package data

import (
	"errors"
	"fmt"
	"math"
)

// Check reports what is wrong with a row that can be read and that no stage should learn from: it
// calls the row's method Check() error, if it has one. Importers, `tame data validate` and the stages
// use it, so that a row means the same to all of them. Reading and writing ask for less: Validate.
func Check(row any) error {
	if c, ok := row.(interface{ Check() error }); ok {
		return c.Check()
	}
	return nil
}

// Check wants a text that is not blank.
func (t Text) Check() error {
	if TrimSpace(t.Text) == "" {
		return errors.New("data: the text is blank")
	}
	return nil
}

// Check wants messages without tags of the chat format.
func (p Prompt) Check() error { return CheckMessages(p.Messages) }

// Check wants messages without tags, and answers that are not blank.
func (c Conversation) Check() error {
	for i, m := range c.Messages {
		if m.Role == Assistant && TrimSpace(m.Content) == "" {
			return fmt.Errorf("data: message %d (assistant) is blank", i)
		}
	}
	return CheckMessages(c.Messages)
}

// Check wants messages without tags, and two answers that differ, of which the chosen one is not
// blank: white space around an answer does not count, because the chat format drops it.
func (p Preference) Check() error {
	switch chosen := TrimSpace(p.Chosen); {
	case chosen == "":
		return errors.New("data: the chosen answer is blank")
	case chosen == TrimSpace(p.Rejected):
		return errors.New("data: the two answers are the same")
	}
	chosen, rejected := p.Dialogs()
	if err := CheckMessages(chosen); err != nil {
		return err
	}
	return CheckMessages(rejected)
}

// Check wants an answer of at least one token, ids that are not negative, and numbers that make sense.
func (s Sample) Check() error {
	if len(s.Tokens) == 0 {
		return errors.New("data: the answer has no tokens")
	}
	for _, ids := range [][]int32{s.Prompt, s.Tokens} {
		for i, id := range ids {
			if id < 0 {
				return fmt.Errorf("data: token %d has the id %d", i, id)
			}
		}
	}
	for i, p := range s.LogProbs {
		if !(p <= 0) || math.IsInf(float64(p), 0) {
			return fmt.Errorf("data: log-probability %d is %v, want a number up to 0", i, p)
		}
	}
	if !(s.Temperature >= 0) || math.IsInf(s.Temperature, 0) {
		return fmt.Errorf("data: the temperature is %v, want a number of at least 0", s.Temperature)
	}
	return nil
}

// PromptIDs finds prompts that share an id without being the same: their answers would compete. The
// zero value has seen none.
type PromptIDs struct{ seen map[string]string }

// Check reports that another prompt, seen before, has the id of this one.
func (ids *PromptIDs) Check(p Prompt) error {
	content := DialogID(p.Messages)
	if other, seen := ids.seen[p.ID]; seen && other != content {
		return fmt.Errorf("data: the id %q is that of another prompt too", p.ID)
	}
	if ids.seen == nil {
		ids.seen = map[string]string{}
	}
	ids.seen[p.ID] = content
	return nil
}
