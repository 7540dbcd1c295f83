package importer

import (
	"errors"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/data"
)

// question is a prompt in the names that rows have for it.
type question struct {
	System                *string
	SystemPrompt          *string `json:"system_prompt"`
	Prompt                dialogOrText
	Instruction, Question *string
	Input, Context        *string
}

// system is the system prompt.
func (q question) system() (string, error) {
	text, err := oneOf(named{"system", q.System}, named{"system_prompt", q.SystemPrompt})
	if text == nil || err != nil {
		return "", err
	}
	return *text, nil
}

// dialog is the dialogue up to the question. Where a row has messages, and a question as a text beside them, that has to be one of
// their questions.
func (q question) dialog(messages ...[]importedMessage) ([]data.Message, error) {
	system, err := q.system()
	if err != nil {
		return nil, err
	}
	asks, err := oneOf(named{"prompt", q.Prompt.text}, named{"instruction", q.Instruction}, named{"question", q.Question})
	if err != nil {
		return nil, err
	}
	input, err := oneOf(named{"input", q.Input}, named{"context", q.Context})
	if err != nil {
		return nil, err
	}
	turns, err := oneDialog(append(messages, q.Prompt.messages)...)
	switch {
	case err != nil:
		return nil, err
	case len(turns) == 0 && (asks != nil || input != nil):
		turns = []importedMessage{said(data.User, withInput(value(asks), value(input)))}
		return withSystem(system, turns), nil
	case data.TrimSpace(value(input)) != "":
		return nil, errors.New(`there is an "input" or a "context" beside messages, which leaves open where it belongs`)
	}
	return withQuestion(system, turns, asks)
}

// withQuestion puts the system prompt before a dialogue, and compares a question beside it.
func withQuestion(system string, turns []importedMessage, asks *string) ([]data.Message, error) {
	dialog := withSystem("", turns)
	beside := withSystem(system, nil)
	if data.TrimSpace(value(asks)) != "" {
		beside = append(beside, data.Message{Role: data.User, Content: *asks})
	}
	if err := sameQuestion(beside, dialog); err != nil {
		return nil, err
	}
	if len(dialog) > 0 && dialog[0].Role == data.System {
		return dialog, nil
	}
	return withSystem(system, turns), nil
}

// oneDialog is the only dialogue of several, if they do not differ.
func oneDialog(dialogs ...[]importedMessage) (one []importedMessage, err error) {
	for _, d := range dialogs {
		if len(one) > 0 && len(d) > 0 {
			if err := sameQuestion(withSystem("", d), withSystem("", one)); err != nil {
				return nil, err
			}
		} else if len(d) > 0 {
			one = d
		}
	}
	return one, nil
}

func value(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// sameQuestion refuses a prompt that contradicts a dialogue which has the prompt in it. A prompt of one message may be the first
// or the last question of the dialogue, or it is the dialogue, with or without its last answer.
func sameQuestion(prompt, dialog []data.Message) error {
	systemA, prompt := cutSystem(prompt)
	systemB, dialog := cutSystem(dialog)
	if _, err := oneOf(named{"system", systemA}, named{"messages", systemB}); err != nil {
		return err
	}
	dialog = cutLastAnswer(dialog)
	if prompt = cutLastAnswer(prompt); len(prompt) == 0 || len(dialog) == 0 {
		return nil
	}
	same := func(a, b data.Message) bool {
		return a.Role == b.Role && data.TrimSpace(a.Content) == data.TrimSpace(b.Content)
	}
	if len(prompt) == 1 && same(prompt[0], dialog[len(dialog)-1]) {
		return nil
	}
	for i, m := range prompt {
		if i < len(dialog) && !same(m, dialog[i]) {
			return differ("prompt", m.Content, "messages", dialog[i].Content)
		}
	}
	if len(prompt) > 1 && len(prompt) != len(dialog) {
		return fmt.Errorf("the prompt has %d messages, and the dialogue %d before its last answer", len(prompt), len(dialog))
	}
	return nil
}

func cutSystem(messages []data.Message) (*string, []data.Message) {
	if len(messages) > 0 && messages[0].Role == data.System {
		return &messages[0].Content, messages[1:]
	}
	return nil, messages
}

func cutLastAnswer(messages []data.Message) []data.Message {
	if n := len(messages); n > 0 && messages[n-1].Role == data.Assistant {
		return messages[:n-1]
	}
	return messages
}
