package data

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Part is a text of a row with who says it.
type Part struct {
	Role   Role // 0 for a document, which nobody says
	Text   string
	Answer bool // what is learned or judged: the answers of a conversation, the two of a preference, that of a sample, a document
}

// Parts is the document.
func (t Text) Parts() []Part { return []Part{{Text: t.Text, Answer: true}} }

// Parts are the messages; none is an answer.
func (p Prompt) Parts() []Part { return promptParts(p.Messages) }

// Parts are the messages.
func (c Conversation) Parts() []Part {
	parts := promptParts(c.Messages)
	for i := range parts {
		parts[i].Answer = parts[i].Role == Assistant
	}
	return parts
}

// Parts are the prompt's messages, then the chosen and the rejected answer.
func (p Preference) Parts() []Part {
	return append(promptParts(p.Messages), Part{Assistant, p.Chosen, true}, Part{Assistant, p.Rejected, true})
}

// Parts are the prompt's messages, then the answer.
func (s Sample) Parts() []Part {
	return append(promptParts(s.Messages), Part{Assistant, s.Text, true})
}

func promptParts(messages []Message) []Part {
	parts := make([]Part, len(messages), len(messages)+2)
	for i, m := range messages {
		parts[i] = Part{Role: m.Role, Text: m.Content}
	}
	return parts
}

// Document is all that a row says as one text, a line break between its parts.
func Document(row interface{ Parts() []Part }) string {
	var texts []string
	for _, p := range row.Parts() {
		texts = append(texts, p.Text)
	}
	return strings.Join(texts, "\n")
}

// Size is how long a row is as one sequence. Of the two answers of a preference the longer counts.
type Size struct{ Prompt, Answer int }

// Whole is both together.
func (s Size) Whole() int { return s.Prompt + s.Answer }

// twoAnswers is a Preference, or a row with further columns that is one.
type twoAnswers interface {
	Dialogs() (chosen, rejected []Message)
}

// Chars is the size of a row in characters (Unicode code points), without any chat format.
func Chars(row interface{ Parts() []Part }) Size {
	var s Size
	_, pair := row.(twoAnswers)
	for _, p := range row.Parts() {
		n := utf8.RuneCountInString(p.Text)
		switch {
		case !p.Answer:
			s.Prompt += n
		case pair:
			s.Answer = max(s.Answer, n)
		default:
			s.Answer += n
		}
	}
	return s
}

// Size is the size of one of the project's rows in tokens, as the stages train on it: dialogues in the chat format, with
// BOS and EOS; of a conversation the tokens that count for the loss are the answer's. A sample has the ids it was sampled with.
func (t *Template) Size(row any) (Size, error) {
	conversation := func(c Conversation, count Turns) (Size, error) {
		e, err := t.EncodeConversation(c, count)
		var s Size
		for _, counts := range e.Counted() {
			if counts {
				s.Answer++
			} else {
				s.Prompt++
			}
		}
		return s, err
	}
	dialog := func(messages []Message, count Turns) (Size, error) {
		return conversation(Conversation{Messages: messages}, count)
	}
	switch row := row.(type) {
	case Text:
		return Size{Answer: len(t.tok.Encode(row.Text)) + 2}, nil
	case Prompt:
		return dialog(row.Messages, AllTurns)
	case Conversation:
		return conversation(row, AllTurns)
	case twoAnswers:
		chosen, rejected := row.Dialogs()
		a, err := dialog(chosen, LastTurn)
		if err != nil {
			return a, err
		}
		b, err := dialog(rejected, LastTurn)
		if b.Answer > a.Answer {
			a = b
		}
		return a, err
	case Sample:
		return Size{Prompt: len(row.Prompt), Answer: len(row.Tokens)}, nil
	}
	return Size{}, fmt.Errorf("data: size: rows of %T have no chat format", row)
}
