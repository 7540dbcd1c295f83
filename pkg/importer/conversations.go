package importer

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tame-rlhf/tame/pkg/data"
)

// conversationDialects are those of conversations to learn from.
func conversationDialects() []Dialect {
	return []Dialect{
		dialect("messages", `{"messages": [{"role": "user", "content": "..."}, ...]}`,
			func(f fields) bool { return f.is("messages", '[') && !compared(f) && !isKTO(f) },
			conversations(messages), objects("the dialogue", learnedKeys, "messages"), checkedKeys, systemKeys, qualityKeys),
		dialect("sharegpt", `{"conversations": [{"from": "human", "value": "..."}, ...]}`,
			func(f fields) bool {
				return f.is("conversations", '[') && !f.has("messages") && !compared(f) && !isKTO(f)
			}, conversations(shareGPT), objects("the dialogue", learnedKeys, "conversations"), checkedKeys, systemKeys, qualityKeys,
			reads("the role that is not learned: only `User` can be kept (NeMo)", "mask")),
		dialect("alpaca", `{"instruction": "...", "input": "...", "output": "..."}, also "context", and "response" or "reference"`,
			func(f fields) bool {
				return f.has("instruction") && f.any("output", "response", "reference") && !compared(f) && score(f, "") == ""
			}, conversations(alpaca), reads("the question", "instruction"), inputKeys, reads("the answer", "output", "response", "reference"),
			reads("pairs of question and answer before", "history"), reads("has to contain the instruction", "prompt"), systemKeys, qualityKeys),
		dialect("self-instruct", `{"instruction": "...", "instances": [{"input": "...", "output": "..."}, ...]}`,
			withKeys("instruction", "instances"), selfInstructRows, reads("the question", "instruction"),
			objects("a conversation each", reads("as of `alpaca`", "input", "output"), "instances"), labels("name", "is_classification")),
		dialect("completion", `{"prompt": "...", "completion": "..."}, also "question", and "answer", "response" or "output"`,
			func(f fields) bool {
				return !f.has("label") && !f.has("instruction") && f.any("prompt", "question") && f.any("completion", "answer", "response", "output") &&
					!f.any("A", "choices") && !compared(f) && score(f, "") == ""
			}, conversations(completion), objects("the question, or the dialogue up to it", learnedKeys, "prompt"), reads("the question", "question"),
			inputKeys, objects("the answer, or the whole dialogue", learnedKeys, "completion"), reads("the answer", "answer", "response", "output"), systemKeys, qualityKeys),
		dialect("llama2", `{"text": "<s>[INST] <<SYS>>...<</SYS>> ... [/INST] ... </s>"}`, isLlama2, conversations(llama2),
			reads("a dialogue in Llama 2's chat format", "text"), systemKeys, qualityKeys),
		dialect("oasst", `{"message_id": "...", "parent_id": ..., "role": "prompter" or "assistant", "text": "...", "rank": ...}`, isOASST, oasstRows,
			reads("the place in the tree", "message_id", "parent_id"), reads("`prompter` or `assistant`", "role"), reads("what is said", "text"),
			reads("the place among the answers to the same question: only the first, 0, is learned", "rank"),
			reads("`true` refuses the row", "deleted"), reads("`false` refuses the row", "review_result"), labels("message_tree_id", "user_id", "created_date", "tree_state")),
	}
}

// Messages reads rows {"messages": [{"role": "user", "content": "..."}, ...]}, as JSON lines or a JSON array, plain,
// gzip or Zstandard. A row that is labelled as a bad example ("label": false) is refused.
func Messages(path string) ([]data.Conversation, Report, error) {
	return importAll[data.Conversation](path, Config{As: "messages"})
}

var (
	errBadExample = errors.New(`labelled as a bad example ("label": false)`)
	errUnsafe     = errors.New(`labelled as unsafe ("is_safe": false), so not an answer to learn: the dialect kto makes pairs of safe and unsafe answers`)
)

// quality says whether a row is an example to learn from.
type quality struct {
	Label  *flag
	IsSafe *flag `json:"is_safe"`
}

// good refuses a row that is labelled as a bad example.
func (q quality) good() error {
	switch {
	case q.Label != nil && !bool(*q.Label):
		return errBadExample
	case q.IsSafe != nil && !bool(*q.IsSafe):
		return errUnsafe
	}
	return nil
}

// learned is a dialogue to learn from before it is checked.
type learned struct {
	turns []importedMessage
	quality
}

// beside puts a system prompt before a dialogue, and compares a question that is a text beside it.
func (q question) beside(turns []importedMessage) ([]importedMessage, error) {
	system, err := q.system()
	if err != nil {
		return nil, err
	}
	dialog, err := withQuestion(system, turns, q.Prompt.text)
	if err == nil && len(q.Prompt.messages) > 0 {
		err = sameQuestion(withSystem("", q.Prompt.messages), dialog)
	}
	if err == nil && len(turns) > 0 && turns[0].Role == data.System && data.TrimSpace(turns[0].Content) != "" {
		system = ""
	}
	return systemFirst(system, turns), err
}

func messages(r struct {
	question
	Messages []importedMessage
	quality
}) (learned, error) {
	turns, err := r.beside(r.Messages)
	return learned{turns, r.quality}, err
}

// ShareGPT reads rows {"conversations": [{"from": "human", "value": "..."}, {"from": "gpt", "value": "..."}]} with an
// optional "system".
func ShareGPT(path string) ([]data.Conversation, Report, error) {
	return importAll[data.Conversation](path, Config{As: "sharegpt"})
}

func shareGPT(r struct {
	question
	Conversations []importedMessage
	Mask          *string
	quality
}) (learned, error) {
	if r.Mask != nil && importedRoles[strings.ToLower(*r.Mask)] != data.User {
		return learned{}, fmt.Errorf(`"mask" is %q, want "User": only answers can be learned`, *r.Mask)
	}
	turns, err := r.beside(r.Conversations)
	return learned{turns, r.quality}, err
}

// Alpaca reads rows {"instruction": "...", "input": "...", "output": "..."}, with optional "system" and "history"
// (pairs of question and answer before). The input, if there is one, follows the instruction after an empty line. It may be called
// "context" too, and the output "response" or "reference".
func Alpaca(path string) ([]data.Conversation, Report, error) {
	return importAll[data.Conversation](path, Config{As: "alpaca"})
}

func alpaca(r struct {
	System                      *string
	SystemPrompt                *string `json:"system_prompt"`
	Instruction, Input, Context *string
	Output, Response, Reference *string
	Prompt                      *string
	History                     [][]string
	quality
}) (learned, error) {
	if r.Prompt != nil && !strings.Contains(*r.Prompt, strings.TrimSpace(value(r.Instruction))) {
		return learned{}, differ("prompt", *r.Prompt, "instruction", value(r.Instruction))
	}
	system, err := question{System: r.System, SystemPrompt: r.SystemPrompt}.system()
	if err != nil {
		return learned{}, err
	}
	input, err := oneOf(named{"input", r.Input}, named{"context", r.Context})
	if err != nil {
		return learned{}, err
	}
	output, err := oneOf(named{"output", r.Output}, named{"response", r.Response}, named{"reference", r.Reference})
	if err != nil {
		return learned{}, err
	}
	var turns []importedMessage
	for _, pair := range r.History {
		if len(pair) != 2 {
			return learned{}, fmt.Errorf(`"history" has an entry of %d texts, want question and answer`, len(pair))
		}
		turns = append(turns, exchange(pair[0], pair[1])...)
	}
	turns = append(turns, exchange(withInput(value(r.Instruction), value(input)), value(output))...)
	return learned{systemFirst(system, turns), r.quality}, nil
}

func exchange(question, answer string) []importedMessage {
	return []importedMessage{said(data.User, question), said(data.Assistant, answer)}
}

// withInput puts an instruction and its input together.
func withInput(instruction, input string) string {
	if data.TrimSpace(input) == "" {
		return instruction
	}
	return strings.TrimRight(instruction, "\n") + "\n\n" + input
}

// conversation is a conversation to learn from, if it is fit for it.
func conversation(path string, l learned) (data.Conversation, error) {
	if err := l.good(); err != nil {
		return data.Conversation{}, err
	}
	c := data.Conversation{Messages: withSystem("", l.turns), Source: filepath.Base(path)}
	l.turns = l.turns[len(l.turns)-len(c.Messages):]
	weights, differ := make([]float32, len(l.turns)), false
	for i, m := range l.turns {
		if m.Role != data.Assistant {
			continue
		}
		weights[i] = 1
		if m.Weight != nil {
			weights[i] = *m.Weight
		}
		differ = differ || weights[i] != 1
	}
	if differ {
		c.Weights = weights
	}
	return c, data.Check(c)
}

// conversations opens a dialect in which each row is a conversation.
func conversations[R any](read func(R) (learned, error)) opener[data.Conversation] {
	return func(_ Config, source string) converter[data.Conversation] {
		return each(func(r R) (data.Conversation, error) {
			l, err := read(r)
			if err != nil {
				return data.Conversation{}, err
			}
			return conversation(source, l)
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
			c, err := conversation(source, learned{turns: exchange(withInput(r.Instruction, instance.Input), instance.Output)})
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
	question
	Completion               dialogOrText
	Answer, Response, Output *string
	quality
}) (learned, error) {
	prompt, err := r.dialog()
	if err != nil {
		return learned{}, err
	}
	answer, err := r.Completion.or(named{"answer", r.Answer}, named{"response", r.Response}, named{"output", r.Output})
	if err != nil {
		return learned{}, err
	}
	dialog, err := answer.after(prompt)
	if err != nil {
		return learned{}, err
	}
	var turns []importedMessage
	for _, m := range dialog {
		turns = append(turns, said(m.Role, m.Content))
	}
	// The weights are those of the last messages that were read: the prompt's, then the completion's.
	given := slices.Concat(r.Prompt.as(data.User), answer.as(data.Assistant))
	if len(answer.messages) > 1 {
		given = answer.messages
	}
	for i := range min(len(given), len(turns)) {
		turns[len(turns)-1-i].Weight = given[len(given)-1-i].Weight
	}
	return learned{turns, r.quality}, nil
}
