package data

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/tame-rlhf/tame/internal/enum"
)

// Tokenizer is what a chat template needs of a tokenizer. *tokenizer.Tokenizer has it.
type Tokenizer interface {
	Encode(text string) []int32 // without BOS and EOS
	BOS() int32                 // -1 if there is none
	EOS() int32                 // -1 if there is none
}

// Turns says which answers of a dialogue count for the loss.
type Turns int

const (
	AllTurns Turns = iota // every answer: supervised fine-tuning
	LastTurn              // the last answer only: Ghost Attention (section 3.3)
)

// String is "all turns" or "last turn".
func (t Turns) String() string { return enum.String("Turns", t, []string{"all turns", "last turn"}) }

// Turn is a user's message and the answer to it, as token ids. The ids of a dialogue are those of its turns, one after
// the other.
type Turn struct {
	Prompt []int32 // all that comes before the answer, such as BOS and "[INST] user [/INST]"
	Answer []int32 // the answer and what ends it, such as EOS; nil for a last turn that has no answer yet
}

// Template encodes dialogues in a chat format: Llama 2's ([Llama2Template], [PieceTemplate]), or that of a chat template in Jinja, as
// models of today have it ([JinjaTemplate]).
//
// A prompt that is sampled from, the sampled answer with the token that ends it, and the example that a stage makes of both by [Join] have
// the same ids: nothing is decoded and encoded again between sampling and training.
type Template struct {
	form   chatForm
	tok    Tokenizer
	vocab  int    // ids of the model, 0 for any number
	source string // in Jinja, "" for Llama 2's
}

// Source is the template in Jinja, "" if it is Llama 2's, which needs none.
func (t *Template) Source() string { return t.source }

// Name tells templates apart: llama2, or the SHA-256 of the template in Jinja.
func (t *Template) Name() string {
	if t.source == "" {
		return "llama2"
	}
	return fmt.Sprintf("jinja sha256:%x", sha256.Sum256([]byte(t.source)))
}

// chatForm is how a dialogue that has been checked becomes ids.
type chatForm interface {
	check(messages []Message) error
	turns(messages []Message) ([]Turn, error)
}

// Within returns a template for a model of that many ids. A tokenizer may have more, such as those of tokens that were added after the model
// was trained: a text that has one is an error that names it.
func (t *Template) Within(vocab int) *Template {
	within := *t
	within.vocab = vocab
	return &within
}

// check looks for ids that the model lacks.
func (t *Template) check(ids []int32) error {
	for _, id := range ids {
		if t.vocab > 0 && int(id) >= t.vocab {
			piece := ""
			if named, ok := t.tok.(interface{ Piece(id int32) string }); ok {
				piece = fmt.Sprintf(" of the piece %q", named.Piece(id))
			}
			return fmt.Errorf("data: chat template: a message has the id %d%s, and the model's ids end at %d: does the tokenizer belong to the model?", id, piece, t.vocab-1)
		}
	}
	return nil
}

// EncodePrompt returns the ids that a model goes on from to answer the dialogue, whose last message is the user's.
func (t *Template) EncodePrompt(messages []Message) ([]int32, error) {
	if err := CheckPrompt(messages); err != nil {
		return nil, err
	}
	e, err := t.EncodeDialog(messages, AllTurns)
	return e.Tokens, err
}

// EncodeUser returns the ids that each user's message adds to a dialogue, with the chat format around it, whatever is answered in between.
// messages are the user's, and a system prompt in front or none.
func (t *Template) EncodeUser(messages []Message) ([][]int32, error) {
	var dialog []Message
	for i, m := range messages {
		if i > 0 && messages[i-1].Role == User {
			dialog = append(dialog, Message{Role: Assistant})
		}
		dialog = append(dialog, m)
	}
	turns, err := t.EncodeTurns(dialog)
	if err != nil {
		return nil, err
	}
	prompts := make([][]int32, len(turns))
	for i, turn := range turns {
		prompts[i] = turn.Prompt
	}
	return prompts, nil
}

// EncodePrompts is EncodePrompt for the token ids of prompts.
func (t *Template) EncodePrompts(prompts []Prompt) ([]TokenPrompt, error) {
	list := make([]TokenPrompt, len(prompts))
	for i, p := range prompts {
		ids, err := t.EncodePrompt(p.Messages)
		if err != nil {
			return nil, fmt.Errorf("prompt %q: %w", p.ID, err)
		}
		list[i] = TokenPrompt{ID: p.ID, Tokens: ids, Safety: p.Safety}
	}
	return list, nil
}

// EncodeAnswer returns the last answer of a dialogue, with all that is before it as its prompt.
func (t *Template) EncodeAnswer(messages []Message) (a Answer, err error) {
	turns, err := t.EncodeTurns(messages)
	if err != nil {
		return a, err
	}
	last := len(turns) - 1
	for _, turn := range turns[:last] {
		a.Prompt.Tokens = append(append(a.Prompt.Tokens, turn.Prompt...), turn.Answer...)
	}
	a.Prompt.Tokens, a.Tokens = append(a.Prompt.Tokens, turns[last].Prompt...), turns[last].Answer
	return a, nil
}

// EncodeDialog returns the whole dialogue to train on: the ids of the chosen answers, EOS included,
// have weight 1, all others 0. A user's message at the end is there without an answer and does
// not count.
func (t *Template) EncodeDialog(messages []Message, count Turns) (Example, error) {
	return t.EncodeConversation(Conversation{Messages: messages}, count)
}

// EncodeConversation is EncodeDialog with the weights that the conversation gives its answers.
func (t *Template) EncodeConversation(c Conversation, count Turns) (Example, error) {
	turns, err := t.EncodeTurns(c.Messages)
	if err != nil {
		return Example{}, err
	}
	last := len(turns) - 1
	if turns[last].Answer == nil {
		last--
	}
	answer := 1 // the index of its message
	if c.Messages[0].Role == System {
		answer++
	}
	var e Example
	for i, turn := range turns {
		one := Join(turn.Prompt, turn.Answer)
		if count != AllTurns && i != last {
			clear(one.Weights)
		}
		if w := len(turn.Prompt); len(c.Weights) > 0 && turn.Answer != nil {
			for j := range one.Weights[w:] {
				one.Weights[w+j] *= c.Weights[answer+2*i]
			}
		}
		e.Tokens, e.Weights = append(e.Tokens, one.Tokens...), append(e.Weights, one.Weights...)
	}
	return e, nil
}

// EncodeTurns returns the ids of a dialogue turn by turn.
func (t *Template) EncodeTurns(messages []Message) ([]Turn, error) {
	if err := t.form.check(messages); err != nil {
		return nil, err
	}
	turns, err := t.form.turns(messages)
	for i := 0; err == nil && i < len(turns); i++ {
		err = errors.Join(t.check(turns[i].Prompt), t.check(turns[i].Answer))
	}
	if err != nil {
		return nil, err
	}
	return turns, nil
}

// Join puts the ids of a prompt and of an answer together, with weight 1 for the answer: what
// EncodePrompt returned and what was sampled after it, with its EOS if it was finished. Neither is
// changed.
func Join(prompt, answer []int32) Example {
	e := Example{Tokens: slices.Concat(prompt, answer), Weights: make([]float32, len(prompt)+len(answer))}
	for i := len(prompt); i < len(e.Weights); i++ {
		e.Weights[i] = 1
	}
	return e
}

func commonPrefix[T comparable](a, b []T) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// TrimSpace drops white space as the reference code does: Python's strip, which also takes the separators 0x1c to 0x1f.
func TrimSpace(text string) string {
	return strings.TrimFunc(text, func(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f })
}
