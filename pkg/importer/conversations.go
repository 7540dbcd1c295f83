package importer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/tame-rlhf/tame/pkg/data"
)

// conversationDialects are those of conversations to learn from.
func conversationDialects() []Dialect {
	return []Dialect{
		dialect("messages", `{"messages": [{"role": "user", "content": "..."}, ...]}`,
			func(f fields) bool { return f.is("messages", '[') && !compared(f) && !isKTO(f) },
			func(_ Config, source string) converter[data.Conversation] { return messageRows(source) }),
		dialect("sharegpt", `{"conversations": [{"from": "human", "value": "..."}, ...]}`,
			func(f fields) bool {
				return f.is("conversations", '[') && !f.has("messages") && !compared(f) && !isKTO(f)
			},
			func(_ Config, source string) converter[data.Conversation] { return shareGPTRows(source) }),
		dialect("alpaca", `{"instruction": "...", "input": "...", "output": "..."}`,
			func(f fields) bool {
				return f.has("instruction") && f.any("output", "response", "reference") && !compared(f) && score(f, "") == ""
			},
			func(_ Config, source string) converter[data.Conversation] { return alpacaRows(source) }),
		dialect("self-instruct", `{"instruction": "...", "instances": [{"input": "...", "output": "..."}, ...]}`,
			func(f fields) bool { return f.has("instruction", "instances") },
			func(_ Config, source string) converter[data.Conversation] { return selfInstructRows(source) }),
		dialect("completion", `{"prompt": "...", "completion": "..."}, also "question", and "answer", "response" or "output"`,
			func(f fields) bool {
				return !f.has("label") && f.any("prompt", "question") && f.any("completion", "answer", "response", "output") &&
					!f.any("A", "choices") && !compared(f) && score(f, "") == ""
			},
			func(_ Config, source string) converter[data.Conversation] { return completionRows(source) }),
	}
}

// Messages reads rows {"messages": [{"role": "user", "content": "..."}, ...]}, as JSON lines or a JSON array, plain,
// gzip or Zstandard. A row that is labelled as a bad example ("label": false) is refused.
func Messages(path string) ([]data.Conversation, Report, error) {
	return importAll(path, messageRows(path))
}

var errBadExample = errors.New(`labelled as a bad example ("label": false)`)

func messageRows(path string) converter[data.Conversation] {
	type row struct {
		Messages []importedMessage
		System   string
		Label    *bool
	}
	return each(func(r row) (data.Conversation, error) { return labelled(path, r.System, r.Messages, r.Label) })
}

// ShareGPT reads rows {"conversations": [{"from": "human", "value": "..."}, {"from": "gpt", "value": "..."}]} with an
// optional "system".
func ShareGPT(path string) ([]data.Conversation, Report, error) {
	return importAll(path, shareGPTRows(path))
}

func shareGPTRows(path string) converter[data.Conversation] {
	type row struct {
		Conversations []importedMessage
		System        string
		Label         *bool
	}
	return each(func(r row) (data.Conversation, error) { return labelled(path, r.System, r.Conversations, r.Label) })
}

// labelled is a conversation to learn from, unless its label says that it is a bad example.
func labelled(path, system string, turns []importedMessage, good *bool) (data.Conversation, error) {
	if good != nil && !*good {
		return data.Conversation{}, errBadExample
	}
	return conversation(path, system, turns)
}

// Alpaca reads rows {"instruction": "...", "input": "...", "output": "..."}, with optional "system" and "history"
// (pairs of question and answer before). The input, if there is one, follows the instruction after an empty line. The
// output may be called "response" or "reference" too.
func Alpaca(path string) ([]data.Conversation, Report, error) {
	return importAll(path, alpacaRows(path))
}

func alpacaRows(path string) converter[data.Conversation] {
	type row struct {
		Instruction, Input, Output, System string
		Response, Reference                string
		History                            [][]string
	}
	return each(func(r row) (data.Conversation, error) {
		var messages []importedMessage
		for _, pair := range r.History {
			if len(pair) != 2 {
				return data.Conversation{}, fmt.Errorf(`"history" has an entry of %d texts, want question and answer`, len(pair))
			}
			messages = append(messages, importedMessage{data.User, pair[0]}, importedMessage{data.Assistant, pair[1]})
		}
		messages = append(messages, importedMessage{data.User, withInput(r.Instruction, r.Input)}, importedMessage{data.Assistant, cmp.Or(r.Output, r.Response, r.Reference)})
		return conversation(path, r.System, messages)
	})
}

// withInput puts an instruction and its input together.
func withInput(instruction, input string) string {
	if data.TrimSpace(input) == "" {
		return instruction
	}
	return strings.TrimRight(instruction, "\n") + "\n\n" + input
}

// conversation is a conversation to learn from, if it is fit for it.
func conversation(path, system string, turns []importedMessage) (data.Conversation, error) {
	messages := withSystem(system, turns)
	for i, m := range messages {
		if m.Role == data.Assistant && data.TrimSpace(m.Content) == "" {
			return data.Conversation{}, fmt.Errorf("message %d (assistant) is blank", i)
		}
	}
	return data.Conversation{Messages: messages, Source: filepath.Base(path)}, data.CheckMessages(messages)
}

func selfInstructRows(source string) converter[data.Conversation] {
	type row struct {
		Instruction string
		Instances   []struct{ Input, Output string }
	}
	return several(func(r row) (rows []data.Conversation, err error) {
		for _, instance := range r.Instances {
			c, err := conversation(source, "", []importedMessage{
				{data.User, withInput(r.Instruction, instance.Input)}, {data.Assistant, instance.Output},
			})
			if err != nil {
				return nil, err
			}
			rows = append(rows, c)
		}
		return rows, nil
	})
}

// completionRows reads a prompt, a text or messages, and its answer. "label": false marks a bad example, as in the data of KTO.
func completionRows(source string) converter[data.Conversation] {
	type row struct {
		System                   string
		Prompt, Completion       dialogOrText
		Question                 *string
		Answer, Response, Output *string
		Label                    json.RawMessage
	}
	return each(func(r row) (data.Conversation, error) {
		if string(r.Label) == "false" {
			return data.Conversation{}, errBadExample
		}
		if r.Question != nil && r.Prompt.empty() {
			r.Prompt.text = r.Question
		}
		for _, answer := range []*string{r.Answer, r.Response, r.Output} {
			if answer != nil && r.Completion.empty() {
				r.Completion.text = answer
			}
		}
		messages := r.Completion.after(withSystem(r.System, r.Prompt.as(data.User)))
		turns := make([]importedMessage, len(messages))
		for i, m := range messages {
			turns[i] = importedMessage(m)
		}
		return conversation(source, "", turns)
	})
}
