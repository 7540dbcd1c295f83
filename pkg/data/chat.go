package data

import (
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
	Prompt []int32 // BOS and "[INST] user [/INST]"
	Answer []int32 // " answer " and EOS; nil for a last turn that has no answer yet
}

// Template encodes dialogues in Llama 2's chat format:
//
//	<s>[INST] <<SYS>>\n{system}\n<</SYS>>\n\n{user} [/INST] {assistant} </s><s>[INST] {user} [/INST] {assistant} </s>
//
// Every pair of user and assistant is encoded as one text, with BOS before and EOS after it. White space around a
// user's message (the first together with its system prompt) and around an answer is dropped.
//
// # Boundary
//
// The answer starts behind the prompt's own ids: Encode("[INST] user [/INST]") is a prefix of the pair's ids, because
// a piece never goes on past a space, which SentencePiece keeps at the front of a piece. So the prompt's ids and sampled
// answer ids with their EOS, put together by Join, have the very form of a training example: nothing is decoded and
// encoded again between sampling and training. Should a foreign tokenizer merge across the boundary after all, the
// answer starts at the first id in which the pair differs from its prompt; what is before it is a prefix of both.
type Template struct {
	tok   Tokenizer
	vocab int // ids of the model, 0 for any number
}

// Within returns a template for a model of that many ids. A tokenizer may have more, such as those of tokens that were added after the model
// was trained: a text that has one is an error that names it.
func (t *Template) Within(vocab int) *Template { return &Template{tok: t.tok, vocab: vocab} }

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

// Llama2Template encodes with any tokenizer; with that of Llama 2 it gives the ids of the reference code
// (facebookresearch/llama, chat_completion). Tags there are ordinary text: "[INST]" costs three tokens.
func Llama2Template(tok Tokenizer) (*Template, error) {
	if tok == nil {
		return nil, errors.New("data: chat template: no tokenizer")
	}
	if tok.BOS() < 0 || tok.EOS() < 0 {
		return nil, fmt.Errorf("data: chat template: the tokenizer needs BOS and EOS, has %d and %d", tok.BOS(), tok.EOS())
	}
	return &Template{tok: tok}, nil
}

// PieceTemplate is Llama2Template for tokenizers that have the Tags as user-defined pieces: the text is the same, each
// tag is one id. It fails for a tokenizer that would cut a tag into pieces.
func PieceTemplate(tok Tokenizer) (*Template, error) {
	t, err := Llama2Template(tok)
	if err != nil {
		return nil, err
	}
	for _, tag := range Tags() {
		// SentencePiece may put one piece for its leading space before the tag.
		if ids := tok.Encode(tag); len(ids) == 0 || len(ids) > 2 {
			return nil, fmt.Errorf("data: chat template: the tokenizer cuts %q into %d pieces: train it with data.Tags "+
				"as user-defined pieces, or use Llama2Template", tag, len(ids))
		}
	}
	return t, nil
}

// EncodePrompt returns the ids that a model goes on from to answer the dialogue, whose last message is the user's.
func (t *Template) EncodePrompt(messages []Message) ([]int32, error) {
	if err := CheckPrompt(messages); err != nil {
		return nil, err
	}
	e, err := t.EncodeDialog(messages, AllTurns)
	return e.Tokens, err
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
	if err := CheckMessages(messages); err != nil {
		return nil, err
	}
	system := ""
	if messages[0].Role == System {
		system = "<<SYS>>\n" + messages[0].Content + "\n<</SYS>>\n\n"
		messages = messages[1:]
	}
	var turns []Turn
	for i := 0; i < len(messages); i += 2 {
		prompt := "[INST] " + TrimSpace(system+messages[i].Content) + " [/INST]"
		system = ""
		promptIDs := t.tok.Encode(prompt)
		if err := t.check(promptIDs); err != nil {
			return nil, err
		}
		if i+1 == len(messages) {
			turns = append(turns, Turn{Prompt: t.begin(promptIDs)})
			break
		}
		pair := t.tok.Encode(prompt + " " + TrimSpace(messages[i+1].Content) + " ")
		if err := t.check(pair); err != nil {
			return nil, err
		}
		start := commonPrefix(promptIDs, pair)
		answer := append(append(make([]int32, 0, len(pair)-start+1), pair[start:]...), t.tok.EOS())
		turns = append(turns, Turn{Prompt: t.begin(pair[:start]), Answer: answer})
	}
	return turns, nil
}

func (t *Template) begin(ids []int32) []int32 {
	return append(append(make([]int32, 0, len(ids)+1), t.tok.BOS()), ids...)
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

func commonPrefix(a, b []int32) int {
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
