package data

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
)

// Split holds out about that fraction of rows, chosen by a hash of the seed and of the words that the row asks: rows with
// the same question, white space aside, always lie on the same side, in whatever file, order or number they come. Order is
// kept.
func Split[T interface{ Question() string }](rows []T, fraction float64, seed uint64) (train, heldOut []T, err error) {
	if !(fraction >= 0 && fraction <= 1) {
		return nil, nil, fmt.Errorf("data: split: cannot hold out a fraction of %v, want 0 to 1", fraction)
	}
	for _, row := range rows {
		if HeldOut(row.Question(), fraction, seed) {
			heldOut = append(heldOut, row)
		} else {
			train = append(train, row)
		}
	}
	return train, heldOut, nil
}

// HeldOut says on which side of a Split the rows with a question lie.
func HeldOut(question string, fraction float64, seed uint64) bool {
	words := binary.LittleEndian.AppendUint64(make([]byte, 0, 8+len(question)+1), seed)
	for word := range strings.FieldsSeq(question) {
		words = append(append(words, word...), ' ')
	}
	if len(words) > 8 {
		words = words[:len(words)-1] // between words only
	}
	h := sha256.Sum256(words)
	// 53 bits make a float64 in [0, 1) exactly.
	return float64(binary.LittleEndian.Uint64(h[:])>>11)/(1<<53) < fraction
}

// Question is the document.
func (t Text) Question() string { return t.Text }

// Question is the first message of the user: longer dialogues about the same lie on the same side of a Split.
func (p Prompt) Question() string { return question(p.Messages) }

// Question is the first message of the user.
func (c Conversation) Question() string { return question(c.Messages) }

// Question is the first message of the user.
func (p Preference) Question() string { return question(p.Messages) }

// Question is the first message of the user.
func (s Sample) Question() string { return question(s.Messages) }

func question(messages []Message) string {
	for _, m := range messages {
		if m.Role == User {
			return m.Content
		}
	}
	return ""
}

// Prompt is the conversation up to the user's last message.
func (c Conversation) Prompt() Prompt {
	messages := c.Messages
	for len(messages) > 0 && messages[len(messages)-1].Role != User {
		messages = messages[:len(messages)-1]
	}
	return Prompt{ID: DialogID(messages), Messages: messages}
}

// Prompt is the prompt of the pair; one of the safety set is tagged as a safety prompt.
func (p Preference) Prompt() Prompt {
	return Prompt{ID: DialogID(p.Messages), Messages: p.Messages, Safety: p.Set == SafetySet}
}

// Prompts returns the prompts of rows, each once, in order of their first appearance. A prompt that appears as a
// safety prompt once is one.
func Prompts[T interface{ Prompt() Prompt }](rows []T) []Prompt {
	at := map[string]int{}
	var prompts []Prompt
	for _, row := range rows {
		p := row.Prompt()
		i, seen := at[p.ID]
		if !seen {
			at[p.ID] = len(prompts)
			prompts = append(prompts, p)
			continue
		}
		prompts[i].Safety = prompts[i].Safety || p.Safety
	}
	return prompts
}
