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

// withSystem puts the system prompt of a row before its messages. A blank one is none.
func withSystem(system string, turns []importedMessage) []data.Message {
	messages := make([]data.Message, 0, len(turns)+1)
	if data.TrimSpace(system) != "" {
		messages = append(messages, data.Message{Role: data.System, Content: system})
	}
	for i, m := range turns {
		if i == 0 && m.Role == data.System && data.TrimSpace(m.Content) == "" {
			continue
		}
		messages = append(messages, data.Message(m))
	}
	return messages
}

// importedMessage is a message in one of the forms that are about: role and content, or from and value, with the
// names that datasets have for the roles.
type importedMessage data.Message

var importedRoles = map[string]data.Role{
	"system": data.System,
	"user":   data.User, "human": data.User, "prompter": data.User,
	"assistant": data.Assistant, "gpt": data.Assistant, "chatgpt": data.Assistant, "bot": data.Assistant, "model": data.Assistant,
}

// UnmarshalJSON reads either form.
func (m *importedMessage) UnmarshalJSON(raw []byte) error {
	var r struct {
		Role, From, Value *string
		Content           *content
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return err
	}
	role, content := cmp.Or(r.Role, r.From), cmp.Or((*string)(r.Content), r.Value)
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

// content is what a message says: a text, or OpenAI's list of parts, of which only texts can be used.
type content string

// UnmarshalJSON reads either form.
func (c *content) UnmarshalJSON(raw []byte) error {
	if len(raw) == 0 || raw[0] != '[' {
		return json.Unmarshal(raw, (*string)(c))
	}
	var parts []struct{ Type, Text string }
	if err := json.Unmarshal(raw, &parts); err != nil {
		return err
	}
	var text strings.Builder
	for _, p := range parts {
		if p.Type != "text" {
			return fmt.Errorf("a message has a part of type %q, want text", p.Type)
		}
		text.WriteString(p.Text)
	}
	*c = content(text.String())
	return nil
}

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
func (d dialogOrText) as(role data.Role) []importedMessage {
	if d.text != nil {
		return []importedMessage{{role, *d.text}}
	}
	return d.messages
}

// after returns the dialogue that an answer makes with its prompt. Answers of several messages have the prompt in them
// already, with or without its system prompt.
func (d dialogOrText) after(prompt []data.Message) []data.Message {
	answer := withSystem("", d.as(data.Assistant))
	if len(answer) > 1 {
		if len(prompt) > 0 && prompt[0].Role == data.System && answer[0].Role != data.System {
			answer = append([]data.Message{prompt[0]}, answer...)
		}
		return answer
	}
	if len(answer) == 0 {
		return nil
	}
	return append(slices.Clone(prompt), answer...)
}

// text is an answer as a text.
func text(s string) dialogOrText { return dialogOrText{text: &s} }

// asked is a prompt of one question.
func asked(question string) []data.Message {
	return []data.Message{{Role: data.User, Content: question}}
}

// question is the first of several texts that is not empty, as the user's message.
func question(texts ...string) []importedMessage {
	if first := cmp.Or(texts...); first != "" {
		return []importedMessage{{data.User, first}}
	}
	return nil
}
