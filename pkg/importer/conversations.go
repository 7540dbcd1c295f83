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
			conversations(messages)),
		dialect("sharegpt", `{"conversations": [{"from": "human", "value": "..."}, ...]}`,
			func(f fields) bool {
				return f.is("conversations", '[') && !f.has("messages") && !compared(f) && !isKTO(f)
			}, conversations(shareGPT)),
		dialect("alpaca", `{"instruction": "...", "input": "...", "output": "..."}`,
			func(f fields) bool {
				return f.has("instruction") && f.any("output", "response", "reference") && !compared(f) && score(f, "") == ""
			}, conversations(alpaca)),
		dialect("self-instruct", `{"instruction": "...", "instances": [{"input": "...", "output": "..."}, ...]}`,
			withKeys("instruction", "instances"), selfInstructRows),
		dialect("completion", `{"prompt": "...", "completion": "..."}, also "question", and "answer", "response" or "output"`,
			func(f fields) bool {
				return !f.has("label") && f.any("prompt", "question") && f.any("completion", "answer", "response", "output") &&
					!f.any("A", "choices") && !compared(f) && score(f, "") == ""
			}, conversations(completion)),
	}
}

// Messages reads rows {"messages": [{"role": "user", "content": "..."}, ...]}, as JSON lines or a JSON array, plain,
// gzip or Zstandard. A row that is labelled as a bad example ("label": false) is refused.
func Messages(path string) ([]data.Conversation, Report, error) {
	return importAll(path, Config{}, conversations(messages))
}

var errBadExample = errors.New(`labelled as a bad example ("label": false)`)

// good refuses a row that is labelled as a bad example.
func good(label *bool) error {
	if label != nil && !*label {
		return errBadExample
	}
	return nil
}

func messages(r struct {
	Messages []importedMessage
	System   string
	Label    *bool
}) (system string, turns []importedMessage, err error) {
	return r.System, r.Messages, good(r.Label)
}

// ShareGPT reads rows {"conversations": [{"from": "human", "value": "..."}, {"from": "gpt", "value": "..."}]} with an
// optional "system".
func ShareGPT(path string) ([]data.Conversation, Report, error) {
	return importAll(path, Config{}, conversations(shareGPT))
}

func shareGPT(r struct {
	Conversations []importedMessage
	System        string
	Label         *bool
}) (system string, turns []importedMessage, err error) {
	return r.System, r.Conversations, good(r.Label)
}

// Alpaca reads rows {"instruction": "...", "input": "...", "output": "..."}, with optional "system" and "history"
// (pairs of question and answer before). The input, if there is one, follows the instruction after an empty line. The
// output may be called "response" or "reference" too.
func Alpaca(path string) ([]data.Conversation, Report, error) {
	return importAll(path, Config{}, conversations(alpaca))
}

func alpaca(r struct {
	Instruction, Input, Output, System string
	Response, Reference                string
	History                            [][]string
}) (system string, turns []importedMessage, err error) {
	for _, pair := range r.History {
		if len(pair) != 2 {
			return "", nil, fmt.Errorf(`"history" has an entry of %d texts, want question and answer`, len(pair))
		}
		turns = append(turns, exchange(pair[0], pair[1])...)
	}
	turns = append(turns, exchange(withInput(r.Instruction, r.Input), cmp.Or(r.Output, r.Response, r.Reference))...)
	return r.System, turns, nil
}

func exchange(question, answer string) []importedMessage {
	return []importedMessage{{data.User, question}, {data.Assistant, answer}}
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
	c := data.Conversation{Messages: withSystem(system, turns), Source: filepath.Base(path)}
	return c, data.Check(c)
}

// conversations opens a dialect in which each row is a conversation.
func conversations[R any](read func(R) (system string, turns []importedMessage, err error)) opener[data.Conversation] {
	return func(_ Config, source string) converter[data.Conversation] {
		return each(func(r R) (data.Conversation, error) {
			system, turns, err := read(r)
			if err != nil {
				return data.Conversation{}, err
			}
			return conversation(source, system, turns)
		})
	}
}

func selfInstructRows(_ Config, source string) converter[data.Conversation] {
	type row struct {
		Instruction string
		Instances   []struct{ Input, Output string }
	}
	return several(func(r row) (rows []data.Conversation, err error) {
		for _, instance := range r.Instances {
			c, err := conversation(source, "", exchange(withInput(r.Instruction, instance.Input), instance.Output))
			if err != nil {
				return nil, err
			}
			rows = append(rows, c)
		}
		return rows, nil
	})
}

// completion reads a prompt, a text or messages, and its answer. "label": false marks a bad example, as in the data of KTO.
func completion(r struct {
	System                   string
	Prompt, Completion       dialogOrText
	Question                 *string
	Answer, Response, Output *string
	Label                    json.RawMessage
}) (system string, turns []importedMessage, err error) {
	if string(r.Label) == "false" {
		return "", nil, errBadExample
	}
	if r.Prompt.empty() {
		r.Prompt.text = r.Question
	}
	if r.Completion.empty() {
		r.Completion.text = cmp.Or(r.Answer, r.Response, r.Output)
	}
	for _, m := range r.Completion.after(withSystem(r.System, r.Prompt.as(data.User))) {
		turns = append(turns, importedMessage(m))
	}
	return "", turns, nil
}
