package gatt

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/generate"
	"github.com/tame-rlhf/tame/pkg/model"
)

// Dialog is what a user says, and an instruction that holds for all of it.
type Dialog struct {
	ID          string   // keys the random streams: each dialogue has its own
	Instruction string   // as it is said
	Short       string   // its shortened wording; "" if there is none, then examples have the instruction as it is said
	Questions   []string // the user's messages, without the instruction
}

// AnsweredTurn is a user's message, with the instruction that it was sampled with, and the answer to
// it.
type AnsweredTurn struct {
	data.Turn
	Text string // the answer decoded, for readers
}

// Transcript is a dialogue with the answers of a model. It has fewer turns than the dialogue has questions when an answer did not end within its
// length limit, was empty, or the context was full.
type Transcript struct {
	Dialog Dialog
	Turns  []AnsweredTurn
	Empty  bool // the next answer had no text
}

// Decoder turns ids into text. *tokenizer.Tokenizer is one.
type Decoder interface {
	Decode(ids []int32) (string, error)
}

// SampleDialogues lets the model answer the dialogues turn after turn, all of them side by side: step
// 1 of Ghost Attention, or its measurement if cfg.Repeat is false. The prompt of a turn is the ids of
// all turns before, with the answers as they were sampled, and the user's message. A dialogue's
// answers depend on its ID and not on its position.
func SampleDialogues(ctx context.Context, p *model.Params, tmpl *data.Template, dec Decoder, dialogs []Dialog, cfg Config) ([]Transcript, error) {
	if err := errors.Join(cfg.Validate(), checkDialogs(dialogs)); err != nil {
		return nil, err
	}
	if p == nil || tmpl == nil || dec == nil {
		return nil, errors.New("gatt: want a model, a chat template and a decoder, one is nil")
	}

	// 1. Every user message as ids.
	turns := make([][]generate.TurnRequest, len(dialogs))
	for i, d := range dialogs {
		prompts, err := encode(tmpl, d.Questions, d.Instruction, cfg.Repeat)
		if err != nil {
			return nil, fmt.Errorf("gatt: dialogue %q: %w", d.ID, err)
		}
		for k, prompt := range prompts {
			turns[i] = append(turns[i], generate.TurnRequest{Prompt: prompt, ID: data.StreamKey(fmt.Sprintf("%s turn %d", d.ID, k+1))})
		}
	}

	// 2. Turn after turn: what was said, the next message, an answer.
	answers, err := generate.Converse(ctx, p, turns, cfg.Sampling)
	if err != nil {
		return nil, fmt.Errorf("gatt: %w", err)
	}

	// 3. What was answered.
	out := make([]Transcript, len(dialogs))
	for i, d := range dialogs {
		out[i] = Transcript{Dialog: d}
		for k, a := range answers[i] {
			if !a.Finished {
				break
			}
			text, err := dec.Decode(a.Tokens)
			if err != nil {
				return nil, fmt.Errorf("gatt: dialogue %q, turn %d: %w", d.ID, k+1, err)
			}
			if out[i].Empty = strings.TrimSpace(text) == ""; out[i].Empty {
				break
			}
			out[i].Turns = append(out[i].Turns, AnsweredTurn{Turn: data.Turn{Prompt: turns[i][k].Prompt, Answer: a.Tokens}, Text: text})
		}
	}
	return out, nil
}

// encode is the ids of every user message with the chat format around it, with the instruction in front of the first or of each.
func encode(tmpl *data.Template, questions []string, instruction string, every bool) ([][]int32, error) {
	if len(questions) == 0 {
		return nil, nil
	}
	messages := make([]data.Message, len(questions))
	for i, q := range questions {
		if i == 0 || every {
			q = instruct(instruction, q)
		}
		messages[i] = data.Message{Role: data.User, Content: q}
	}
	return tmpl.EncodeUser(messages)
}

// instruct puts an instruction before a message.
func instruct(instruction, message string) string {
	if instruction == "" {
		return message
	}
	return instruction + " " + message
}

// checkDialogs refuses dialogues without turns and those that would share random streams.
func checkDialogs(dialogs []Dialog) error {
	if len(dialogs) == 0 {
		return fmt.Errorf("gatt: dialogues: %w", data.ErrEmpty)
	}
	first := map[string]int{}
	for i, d := range dialogs {
		if len(d.Questions) == 0 {
			return fmt.Errorf("gatt: dialogue %d (ID %q) has no questions", i, d.ID)
		}
		if data.TrimSpace(d.Instruction) == "" {
			return fmt.Errorf("gatt: dialogue %d (ID %q) has a blank instruction: there is nothing to keep following", i, d.ID)
		}
		if k, known := first[d.ID]; known {
			return fmt.Errorf("gatt: dialogues %d and %d have the same ID %q: give each its own", k, i, d.ID)
		}
		first[d.ID] = i
	}
	return nil
}
