package gatt

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/tame-rlhf/tame/pkg/data"
)

// Example is a dialogue as token ids to train on. Weights are 1 for those that the loss is taken on:
// the last answer's (the paper's rule), or with Config.EveryTurn those of all answers.
// data.Example(e) is the same as an example for package sft.
type Example struct {
	Tokens  []int32
	Weights []float32
}

// Examples makes training examples of sampled dialogues: steps 2 and 3 of Ghost Attention. The
// instruction is in the first user message only, in its shortened wording for Config.ShortShare
// of the dialogues. The weight is 1 on the last answer, its stop token included, and nowhere else
// (with Config.EveryTurn on every answer). A transcript without turns gives none. However the
// answers were sampled, the examples have the same form; those of the paper's baseline are made of
// answers sampled without Config.Repeat.
func Examples(tmpl *data.Template, talks []Transcript, cfg Config) ([]Example, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if tmpl == nil {
		return nil, errors.New("gatt: want a chat template, it is nil")
	}
	var examples []Example
	for _, t := range talks {
		questions := t.Dialog.Questions
		if len(t.Turns) > len(questions) {
			return nil, fmt.Errorf("gatt: dialogue %q has %d turns for %d questions", t.Dialog.ID, len(t.Turns), len(questions))
		}
		prompts, err := encode(tmpl, questions[:len(t.Turns)], t.Dialog.wording(cfg), false)
		if err != nil {
			return nil, fmt.Errorf("gatt: dialogue %q: %w", t.Dialog.ID, err)
		}
		if len(t.Turns) > 0 {
			examples = append(examples, example(prompts, t.Turns, cfg.EveryTurn))
		}
	}
	return examples, nil
}

// example is a dialogue whose last answer counts, or every one.
func example(prompts [][]int32, turns []Turn, every bool) (e Example) {
	for i, t := range turns {
		one := data.Join(prompts[i], t.Answer)
		if !every && i < len(turns)-1 {
			clear(one.Weights)
		}
		e.Tokens, e.Weights = append(e.Tokens, one.Tokens...), append(e.Weights, one.Weights...)
	}
	return e
}

// Conversations are the dialogues as text for readers, as Examples words them, with the given
// source. They are not for training: decoded answers need not have the ids that were sampled.
func Conversations(talks []Transcript, source string, cfg Config) []data.Conversation {
	var rows []data.Conversation
	for _, t := range talks {
		var messages []data.Message
		for i, turn := range t.Turns {
			message := t.Dialog.Questions[i]
			if i == 0 {
				message = instruct(t.Dialog.wording(cfg), message)
			}
			messages = append(messages, data.Message{Role: data.User, Content: message}, data.Message{Role: data.Assistant, Content: turn.Text})
		}
		if len(messages) > 0 {
			rows = append(rows, data.Conversation{Messages: messages, Source: source})
		}
	}
	return rows
}

// wording is the instruction in the wording that examples of this dialogue have.
func (d Dialog) wording(cfg Config) string {
	if d.Short != "" && rand.New(rand.NewPCG(cfg.Seed, data.StreamKey(d.ID))).Float64() < cfg.ShortShare {
		return d.Short
	}
	return d.Instruction
}
