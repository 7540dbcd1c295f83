package data

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ImportMessages reads rows {"messages": [{"role": "user", "content": "..."}, ...]}, as JSON lines or a JSON array, plain,
// gzip or Zstandard. A row that is labelled as a bad example ("label": false) is refused.
func ImportMessages(path string) ([]Conversation, ImportReport, error) {
	return importAll(path, messageRows(path))
}

var errBadExample = errors.New(`labelled as a bad example ("label": false)`)

func messageRows(path string) converter[Conversation] {
	type row struct {
		Messages []importedMessage
		System   string
		Label    *bool
	}
	return each(func(r row) (Conversation, error) {
		if r.Label != nil && !*r.Label {
			return Conversation{}, errBadExample
		}
		return conversation(path, r.System, r.Messages)
	})
}

// ImportShareGPT reads rows {"conversations": [{"from": "human", "value": "..."}, {"from": "gpt", "value": "..."}]} with an
// optional "system".
func ImportShareGPT(path string) ([]Conversation, ImportReport, error) {
	return importAll(path, shareGPTRows(path))
}

func shareGPTRows(path string) converter[Conversation] {
	type row struct {
		Conversations []importedMessage
		System        string
		Label         *bool
	}
	return each(func(r row) (Conversation, error) {
		if r.Label != nil && !*r.Label {
			return Conversation{}, errBadExample
		}
		return conversation(path, r.System, r.Conversations)
	})
}

// ImportAlpaca reads rows {"instruction": "...", "input": "...", "output": "..."}, with optional "system" and "history"
// (pairs of question and answer before). The input, if there is one, follows the instruction after an empty line. The
// output may be called "response" or "reference" too.
func ImportAlpaca(path string) ([]Conversation, ImportReport, error) {
	return importAll(path, alpacaRows(path))
}

func alpacaRows(path string) converter[Conversation] {
	type row struct {
		Instruction, Input, Output, System string
		Response, Reference                string
		History                            [][]string
	}
	return each(func(r row) (Conversation, error) {
		var messages []importedMessage
		for _, pair := range r.History {
			if len(pair) != 2 {
				return Conversation{}, fmt.Errorf(`"history" has an entry of %d texts, want question and answer`, len(pair))
			}
			messages = append(messages, importedMessage{User, pair[0]}, importedMessage{Assistant, pair[1]})
		}
		answer := r.Output
		for _, other := range []string{r.Response, r.Reference} {
			if answer == "" {
				answer = other
			}
		}
		messages = append(messages, importedMessage{User, withInput(r.Instruction, r.Input)}, importedMessage{Assistant, answer})
		return conversation(path, r.System, messages)
	})
}

// withInput puts an instruction and its input together.
func withInput(instruction, input string) string {
	if trim(input) == "" {
		return instruction
	}
	return strings.TrimRight(instruction, "\n") + "\n\n" + input
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
	var r struct {
		Role, From, Value *string
		Content           *content
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return err
	}
	role, content := r.Role, (*string)(r.Content)
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

// ImportPrompts reads rows with a prompt to be answered: "prompt" (a text or messages), "messages" or "conversations" that
// end with the user, "turns" (questions asked one after the other, of which the first is taken), an "instruction" (with
// "input") or a "question"; with an optional "system", "id" and "safety" (true for a safety prompt). A "label" of "unsafe"
// tags a safety prompt too, and so does a 1 under one of the keys of OpenAI's moderation data.
func ImportPrompts(path string) ([]Prompt, ImportReport, error) {
	return importAll(path, promptRows())
}

func promptRows() converter[Prompt] {
	type row struct {
		ID                           json.RawMessage
		System                       string
		Safety                       bool
		Prompt                       dialogOrText
		Messages, Conversations      []importedMessage
		Turns                        []string
		Instruction, Input, Question string
		PromptsFinal                 string `json:"prompts_final"` // of SimpleSafetyTests
		Label                        json.RawMessage
		moderation
	}
	return each(func(r row) (Prompt, error) {
		turns := slices.Concat(r.Messages, r.Conversations, r.Prompt.as(User))
		if len(turns) == 0 && len(r.Turns) > 0 {
			turns = []importedMessage{{User, r.Turns[0]}}
		}
		for _, question := range []string{withInput(r.Instruction, r.Input), r.Question, r.PromptsFinal} {
			if len(turns) == 0 && question != "" {
				turns = []importedMessage{{User, question}}
			}
		}
		p := Prompt{ID: idText(r.ID), Messages: withSystem(r.System, turns)}
		p.Safety = r.Safety || bytes.Equal(r.Label, []byte(`"unsafe"`)) || r.PromptsFinal != "" || r.flagged()
		if p.ID == "" {
			p.ID = DialogID(p.Messages)
		}
		return p, CheckMessages(p.Messages)
	})
}

// idText is an id that may be a number.
func idText(raw json.RawMessage) string {
	var text string
	if isNull(raw) || json.Unmarshal(raw, &text) == nil {
		return text
	}
	return string(raw)
}

// moderation are the labels of OpenAI's moderation data, 0 or 1; those that nobody looked at are missing.
type moderation struct{ S, H, V, HR, SH, S3, H2, V2 json.RawMessage }

func (m moderation) flagged() bool {
	return slices.ContainsFunc([]json.RawMessage{m.S, m.H, m.V, m.HR, m.SH, m.S3, m.H2, m.V2},
		func(label json.RawMessage) bool { return string(label) == "1" })
}
