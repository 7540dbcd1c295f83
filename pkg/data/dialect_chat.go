package data

import (
	"encoding/json"
)

// isKTO says whether a row is an answer with a thumb up or down.
func isKTO(f fields) bool {
	return f.is("label", 't') && (f.any("messages", "conversations") || f.has("prompt", "completion"))
}

// compared says whether a row has more than one answer.
func compared(f fields) bool {
	return f.any("chosen", "rejected", "chosen_response", "response_0", "response_1", "output_1", "completions")
}

// conversationDialects are those of conversations to learn from.
func conversationDialects() []Dialect {
	return []Dialect{
		dialect("messages", `{"messages": [{"role": "user", "content": "..."}, ...]}`,
			func(f fields) bool { return f.is("messages", '[') && !compared(f) && !isKTO(f) },
			func(_ ImportConfig, source string) converter[Conversation] { return messageRows(source) }),
		dialect("sharegpt", `{"conversations": [{"from": "human", "value": "..."}, ...]}`,
			func(f fields) bool {
				return f.is("conversations", '[') && !f.has("messages") && !compared(f) && !isKTO(f)
			},
			func(_ ImportConfig, source string) converter[Conversation] { return shareGPTRows(source) }),
		dialect("alpaca", `{"instruction": "...", "input": "...", "output": "..."}`,
			func(f fields) bool {
				return f.has("instruction") && f.any("output", "response", "reference") && !compared(f) && score(f, "") == ""
			},
			func(_ ImportConfig, source string) converter[Conversation] { return alpacaRows(source) }),
		dialect("self-instruct", `{"instruction": "...", "instances": [{"input": "...", "output": "..."}, ...]}`,
			func(f fields) bool { return f.has("instruction", "instances") },
			func(_ ImportConfig, source string) converter[Conversation] { return selfInstructRows(source) }),
		dialect("completion", `{"prompt": "...", "completion": "..."}, also "question", and "answer", "response" or "output"`,
			func(f fields) bool {
				return !f.has("label") && f.any("prompt", "question") && f.any("completion", "answer", "response", "output") &&
					!f.any("A", "choices") && !compared(f) && score(f, "") == ""
			},
			func(_ ImportConfig, source string) converter[Conversation] { return completionRows(source) }),
	}
}

func selfInstructRows(source string) converter[Conversation] {
	type row struct {
		Instruction string
		Instances   []struct{ Input, Output string }
	}
	return several(func(r row) (rows []Conversation, err error) {
		for _, instance := range r.Instances {
			c, err := conversation(source, "", []importedMessage{
				{User, withInput(r.Instruction, instance.Input)}, {Assistant, instance.Output},
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
func completionRows(source string) converter[Conversation] {
	type row struct {
		System                   string
		Prompt, Completion       dialogOrText
		Question                 *string
		Answer, Response, Output *string
		Label                    json.RawMessage
	}
	return each(func(r row) (Conversation, error) {
		if string(r.Label) == "false" {
			return Conversation{}, errBadExample
		}
		if r.Question != nil && r.Prompt.empty() {
			r.Prompt.text = r.Question
		}
		for _, answer := range []*string{r.Answer, r.Response, r.Output} {
			if answer != nil && r.Completion.empty() {
				r.Completion.text = answer
			}
		}
		messages := r.Completion.after(withSystem(r.System, r.Prompt.as(User)))
		turns := make([]importedMessage, len(messages))
		for i, m := range messages {
			turns[i] = importedMessage(m)
		}
		return conversation(source, "", turns)
	})
}

// otherDialects are those of prompts and of texts.
func otherDialects() []Dialect {
	return []Dialect{
		dialect("prompts", `{"prompt": ...}, {"turns": [...]}, {"instruction": "..."} or {"prompts_final": "..."}`, isPrompt,
			func(ImportConfig, string) converter[Prompt] { return promptRows() }),
		dialect(textDialect, `{"text": "..."}, or plain text: .txt files, and all with a separator`,
			func(f fields) bool { return f.is("text", '"') && !f.any("label", "prompt", "messages", "instruction") },
			func(ImportConfig, string) converter[Text] { return textRows() }),
	}
}

func isPrompt(f fields) bool {
	if f.any("completion", "response", "answer", "output", "reference", "messages", "conversations", "instances") || compared(f) ||
		f.any("response 1", "response_j", "answer_matching_behavior", "response1", "response_a") {
		return false
	}
	return f.any("prompt", "turns", "instruction", "prompts_final")
}
