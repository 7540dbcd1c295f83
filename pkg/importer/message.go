package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/tame-rlhf/tame/pkg/data"
)

// withSystem puts the system prompt of a row before its messages. A blank one is none.
func withSystem(system string, turns []importedMessage) []data.Message {
	messages := make([]data.Message, 0, len(turns)+1)
	for _, m := range systemFirst(system, turns) {
		messages = append(messages, data.Message{Role: m.Role, Content: m.Content})
	}
	return messages
}

// systemFirst is withSystem for messages that may have weights.
func systemFirst(system string, turns []importedMessage) []importedMessage {
	if len(turns) > 0 && turns[0].Role == data.System && data.TrimSpace(turns[0].Content) == "" {
		turns = turns[1:]
	}
	if data.TrimSpace(system) == "" {
		return turns
	}
	return slices.Concat([]importedMessage{said(data.System, system)}, turns)
}

// importedMessage is a message in one of the forms that are about: role and content, or from and value, with the
// names that datasets have for the roles.
type importedMessage struct {
	Role    data.Role
	Content string
	Weight  *float32 // in the loss; nil if the row does not say it
}

func said(role data.Role, text string) importedMessage {
	return importedMessage{Role: role, Content: text}
}

var importedRoles = map[string]data.Role{
	"system": data.System,
	"user":   data.User, "human": data.User, "prompter": data.User,
	"assistant": data.Assistant, "gpt": data.Assistant, "chatgpt": data.Assistant, "bot": data.Assistant, "model": data.Assistant,
}

// UnmarshalJSON reads either form.
func (m *importedMessage) UnmarshalJSON(raw []byte) error {
	var r struct {
		Role, From                    *string
		Content, Value                *content
		Weight, Loss, Train, Training *weight
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return err
	}
	role, err := oneOf(named{"role", r.Role}, named{"from", r.From})
	if err != nil {
		return err
	}
	text, err := oneOf(named{"content", (*string)(r.Content)}, named{"value", (*string)(r.Value)})
	if err != nil {
		return err
	}
	if role == nil || text == nil {
		return errors.New("a message has no role (or from) or no content (or value)")
	}
	known, ok := importedRoles[strings.ToLower(*role)]
	if !ok {
		return fmt.Errorf("a message is from %q, want system, user or assistant", *role)
	}
	*m = said(known, *text)
	for i, w := range []*weight{r.Weight, r.Loss, r.Train, r.Training} {
		if w == nil {
			continue
		}
		if m.Weight != nil && *m.Weight != float32(*w) {
			return fmt.Errorf("a message has two weights: %v, and %q is %v", *m.Weight, []string{"weight", "loss", "train", "training"}[i], float32(*w))
		}
		m.Weight = (*float32)(w)
	}
	if m.Weight != nil && *m.Weight != 0 && known != data.Assistant {
		return fmt.Errorf("a message from %v has the weight %v: only answers can be learned", known, *m.Weight)
	}
	return nil
}

// weight is how much a message counts: a number, true or false.
type weight float32

// UnmarshalJSON reads either form.
func (w *weight) UnmarshalJSON(raw []byte) error {
	var counts flag
	if err := counts.UnmarshalJSON(raw); err == nil {
		*w = 0
		if counts {
			*w = 1
		}
		return nil
	}
	if err := json.Unmarshal(raw, (*float32)(w)); err != nil || *w < 0 {
		return fmt.Errorf("the weight of a message is %s, want a number of at least 0, true or false", raw)
	}
	return nil
}

// flag is true or false, as tables and programs without such a type write it, too.
type flag bool

// UnmarshalJSON reads all of these.
func (f *flag) UnmarshalJSON(raw []byte) error {
	switch strings.ToLower(strings.Trim(string(raw), `"`)) {
	case "true", "1", "1.0":
		*f = true
	case "false", "0", "0.0":
		*f = false
	case "null":
	default:
		return &json.UnmarshalTypeError{Value: string(raw) + ", want true or false", Type: reflect.TypeFor[bool]()}
	}
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
	}
	if err := json.Unmarshal(raw, &d.text); err != nil || d.text == nil {
		return err
	}
	if dialog, ok, err := dialogHH(*d.text); ok { // a prompt that was written as a text
		d.text, d.messages = nil, dialog
		return err
	}
	return nil
}

// or is the answer where it may have other names.
func (d dialogOrText) or(others ...named) (dialogOrText, error) {
	text, err := oneOf(append([]named{{"completion", d.last()}}, others...)...)
	if len(d.messages) > 0 {
		return d, err
	}
	return dialogOrText{text: text}, err
}

// last is the text of the answer; nil if there is none.
func (d dialogOrText) last() *string {
	if n := len(d.messages); n > 0 {
		return &d.messages[n-1].Content
	}
	return d.text
}

func (d dialogOrText) empty() bool { return d.text == nil && len(d.messages) == 0 }

// as returns the messages; a text is one of that role.
func (d dialogOrText) as(role data.Role) []importedMessage {
	if d.text != nil {
		return []importedMessage{said(role, *d.text)}
	}
	return d.messages
}

// after returns the dialogue that an answer makes with its prompt. Answers of several messages have the prompt in them
// already, with or without its system prompt: another one is refused.
func (d dialogOrText) after(prompt []data.Message) ([]data.Message, error) {
	answer := withSystem("", d.as(data.Assistant))
	switch len(answer) {
	case 0:
		return nil, nil
	case 1:
		return append(slices.Clone(prompt), answer...), nil
	}
	if len(prompt) == 0 {
		return answer, nil
	}
	if err := sameQuestion(prompt, answer); err != nil {
		return nil, err
	}
	if prompt[0].Role == data.System && answer[0].Role != data.System {
		answer = append([]data.Message{prompt[0]}, answer...)
	}
	return answer, nil
}

// text is an answer as a text.
func text(s string) dialogOrText { return dialogOrText{text: &s} }

// asked is a prompt of one question.
func asked(question string) []data.Message {
	return []data.Message{{Role: data.User, Content: question}}
}
