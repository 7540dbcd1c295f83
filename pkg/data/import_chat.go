package data

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ImportMessages reads rows {"messages": [{"role": "user", "content": "..."}, ...]}, as JSON lines or a JSON array, plain
// or gzip. A row that is labelled as a bad example ("label": false) is refused.
func ImportMessages(path string) ([]Conversation, ImportReport, error) {
	type row struct {
		Messages []importedMessage
		System   string
		Label    *bool
	}
	return importRows(path, func(r row) (Conversation, error) {
		if r.Label != nil && !*r.Label {
			return Conversation{}, errors.New(`labelled as a bad example ("label": false)`)
		}
		return conversation(path, r.System, r.Messages)
	})
}

// ImportShareGPT reads rows {"conversations": [{"from": "human", "value": "..."}, {"from": "gpt", "value": "..."}]} with an
// optional "system".
func ImportShareGPT(path string) ([]Conversation, ImportReport, error) {
	type row struct {
		Conversations []importedMessage
		System        string
	}
	return importRows(path, func(r row) (Conversation, error) { return conversation(path, r.System, r.Conversations) })
}

// ImportAlpaca reads rows {"instruction": "...", "input": "...", "output": "..."}, with optional "system" and "history"
// (pairs of question and answer before). The input, if there is one, follows the instruction after an empty line.
func ImportAlpaca(path string) ([]Conversation, ImportReport, error) {
	type row struct {
		Instruction, Input, Output, System string
		History                            [][]string
	}
	return importRows(path, func(r row) (Conversation, error) {
		var messages []importedMessage
		for _, pair := range r.History {
			if len(pair) != 2 {
				return Conversation{}, fmt.Errorf(`"history" has an entry of %d texts, want question and answer`, len(pair))
			}
			messages = append(messages, importedMessage{User, pair[0]}, importedMessage{Assistant, pair[1]})
		}
		question := r.Instruction
		if trim(r.Input) != "" {
			question = strings.TrimRight(question, "\n") + "\n\n" + r.Input
		}
		messages = append(messages, importedMessage{User, question}, importedMessage{Assistant, r.Output})
		return conversation(path, r.System, messages)
	})
}

// conversation is a conversation to learn from, if it is fit for it.
func conversation(path, system string, turns []importedMessage) (Conversation, error) {
	messages := withSystem(system, turns)
	for i, m := range messages {
		if m.Role == Assistant && trim(m.Content) == "" {
			return Conversation{}, fmt.Errorf("message %d (assistant) is blank", i)
		}
	}
	return Conversation{Messages: messages, Source: sourceName(path)}, CheckMessages(messages)
}

// withSystem puts the system prompt of a row before its messages. A blank one is none.
func withSystem(system string, turns []importedMessage) []Message {
	messages := make([]Message, 0, len(turns)+1)
	if trim(system) != "" {
		messages = append(messages, Message{System, system})
	}
	for i, m := range turns {
		if i == 0 && m.Role == System && trim(m.Content) == "" {
			continue
		}
		messages = append(messages, Message(m))
	}
	return messages
}

// importedMessage is a message in one of the forms that are about: role and content, or from and value, with the
// names that datasets have for the roles.
type importedMessage Message

var importedRoles = map[string]Role{
	"system": System,
	"user":   User, "human": User, "prompter": User,
	"assistant": Assistant, "gpt": Assistant, "chatgpt": Assistant, "bot": Assistant, "model": Assistant,
}

// UnmarshalJSON reads either form.
func (m *importedMessage) UnmarshalJSON(raw []byte) error {
	var r struct{ Role, From, Content, Value *string }
	if err := json.Unmarshal(raw, &r); err != nil {
		return err
	}
	role, content := r.Role, r.Content
	if role == nil {
		role = r.From
	}
	if content == nil {
		content = r.Value
	}
	if role == nil || content == nil {
		return errors.New("a message has no role (or from) or no content (or value)")
	}
	known, ok := importedRoles[strings.ToLower(*role)]
	if !ok {
		return fmt.Errorf("a message is from %q, want system, user or assistant", *role)
	}
	*m = importedMessage{known, *content}
	return nil
}

// ImportPrompts reads rows with a prompt to be answered: "prompt" (a text or messages), "messages" or "conversations" that
// end with the user, or "turns" (questions asked one after the other, of which the first is taken); with an optional
// "system", "id" and "safety" (true for a safety prompt).
func ImportPrompts(path string) ([]Prompt, ImportReport, error) {
	type row struct {
		ID, System              string
		Safety                  bool
		Prompt                  dialogOrText
		Messages, Conversations []importedMessage
		Turns                   []string
	}
	return importRows(path, func(r row) (Prompt, error) {
		turns := slices.Concat(r.Messages, r.Conversations, r.Prompt.as(User))
		if len(turns) == 0 && len(r.Turns) > 0 {
			turns = []importedMessage{{User, r.Turns[0]}}
		}
		p := Prompt{ID: r.ID, Messages: withSystem(r.System, turns), Safety: r.Safety}
		if p.ID == "" {
			p.ID = DialogID(p.Messages)
		}
		return p, CheckMessages(p.Messages)
	})
}
