package data

import (
	"errors"
	"fmt"
)

// Llama2Template encodes with any tokenizer; with that of Llama 2 it gives the ids of the reference code
// (facebookresearch/llama, chat_completion). Tags there are ordinary text: "[INST]" costs three tokens.
func Llama2Template(tok Tokenizer) (*Template, error) {
	if tok == nil {
		return nil, errors.New("data: chat template: no tokenizer")
	}
	if tok.BOS() < 0 || tok.EOS() < 0 {
		return nil, fmt.Errorf("data: chat template: the tokenizer needs BOS and EOS, has %d and %d", tok.BOS(), tok.EOS())
	}
	return &Template{form: llama2Form{tok}, tok: tok}, nil
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

// llama2Form is Llama 2's chat format:
//
//	<s>[INST] <<SYS>>\n{system}\n<</SYS>>\n\n{user} [/INST] {assistant} </s><s>[INST] {user} [/INST] {assistant} </s>
//
// Every pair of user and assistant is encoded as one text, with BOS before and EOS after it. White space around a
// user's message (the first together with its system prompt) and around an answer is dropped.
//
// # Boundary
//
// The answer starts after the prompt's own ids: Encode("[INST] user [/INST]") is a prefix of the pair's ids, because
// a piece never goes on past a space, which SentencePiece keeps at the front of a piece. So the prompt's ids and sampled
// answer ids with their EOS, put together by Join, have the very form of a training example. Should a foreign tokenizer
// merge across the boundary after all, the answer starts at the first id in which the pair differs from its prompt; what
// is before it is a prefix of both.
type llama2Form struct{ tok Tokenizer }

func (llama2Form) check(messages []Message) error { return CheckMessages(messages) }

func (f llama2Form) turns(messages []Message) ([]Turn, error) {
	system := ""
	if messages[0].Role == System {
		system = "<<SYS>>\n" + messages[0].Content + "\n<</SYS>>\n\n"
		messages = messages[1:]
	}
	var turns []Turn
	for i := 0; i < len(messages); i += 2 {
		prompt := "[INST] " + TrimSpace(system+messages[i].Content) + " [/INST]"
		system = ""
		promptIDs := f.tok.Encode(prompt)
		if i+1 == len(messages) {
			turns = append(turns, Turn{Prompt: f.begin(promptIDs)})
			break
		}
		pair := f.tok.Encode(prompt + " " + TrimSpace(messages[i+1].Content) + " ")
		start := commonPrefix(promptIDs, pair)
		answer := append(append(make([]int32, 0, len(pair)-start+1), pair[start:]...), f.tok.EOS())
		turns = append(turns, Turn{Prompt: f.begin(pair[:start]), Answer: answer})
	}
	return turns, nil
}

func (f llama2Form) begin(ids []int32) []int32 {
	return append(append(make([]int32, 0, len(ids)+1), f.tok.BOS()), ids...)
}
