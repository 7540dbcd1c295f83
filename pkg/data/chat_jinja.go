package data

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tame-rlhf/tame/internal/chattemplate"
)

// JinjaTokenizer is what a chat template in Jinja needs of a tokenizer. *tokenizer.Tokenizer has it.
type JinjaTokenizer interface {
	Tokenizer
	UNK() int32              // -1 if there is none
	PAD() int32              // -1 if there is none
	Piece(id int32) string   // the text of an id
	SpecialTokens() []string // the texts that EncodeRendered takes for control tokens
	// EncodeRendered encodes a text in which special tokens mean themselves, but for those that touch one of the literal
	// ranges of bytes, which are in order.
	EncodeRendered(text string, literal [][2]int) []int32
}

// JinjaTemplate encodes dialogues by a chat template in Jinja, such as the chat_template of a model's folder: the ids are those of
// transformers' apply_chat_template. ends are the ids that end an answer; without any it is the tokenizer's EOS.
//
// # Answers
//
// What counts is what the template puts into {% generation %}. Where it marks nothing, an answer begins where the
// dialogue before it, rendered with add_generation_prompt, ends, and goes on to the first of the ends. What the template writes after the
// last answer, often a line break, is left out: nothing is predicted there. A template is refused where it begins an answer in another way than it
// asks for one, or does not end it: no model could learn to stop.
//
// # Text from outside
//
// No message becomes a control token: a special token in it is encoded as the letters that it is written with.
func JinjaTemplate(tok JinjaTokenizer, source string, ends ...int32) (*Template, error) {
	if tok == nil {
		return nil, errors.New("data: chat template: no tokenizer")
	}
	compiled, err := chattemplate.Compile(source)
	if err != nil {
		return nil, fmt.Errorf("data: chat template: %w", err)
	}
	f := &jinjaForm{tok: tok, template: compiled, special: slices.Clone(tok.SpecialTokens()), variables: make(map[string]string)}
	slices.SortStableFunc(f.special, func(a, b string) int { return len(b) - len(a) }) // one that has another inside comes first
	if len(ends) == 0 {
		ends = []int32{tok.EOS()}
	}
	for _, id := range ends {
		if id < 0 || !slices.Contains(f.special, tok.Piece(id)) {
			return nil, fmt.Errorf("data: chat template: the id %d, which ends answers, is no special token of the tokenizer", id)
		}
		f.ends = append(f.ends, tok.Piece(id))
	}
	for name, id := range map[string]int32{"bos_token": tok.BOS(), "eos_token": tok.EOS(), "unk_token": tok.UNK(), "pad_token": tok.PAD()} {
		if id >= 0 {
			f.variables[name] = tok.Piece(id)
		}
	}
	return &Template{form: f, tok: tok, source: source}, nil
}

// jinjaForm is the chat format of a template in Jinja.
type jinjaForm struct {
	tok       JinjaTokenizer
	template  *chattemplate.Template
	special   []string // the longest first
	ends      []string // those of them that end an answer
	variables map[string]string
}

func (*jinjaForm) check(messages []Message) error { return checkTurns(messages) }

func (f *jinjaForm) turns(messages []Message) ([]Turn, error) {
	r, err := f.hide(messages)
	if err != nil {
		return nil, err
	}
	last := len(messages) - 1
	text, marked, err := r.render(len(messages), messages[last].Role == User)
	if err != nil {
		return nil, err
	}
	answers := marked
	if !f.template.Marks() {
		answers, err = r.answers(messages, text)
	} else if n := countAnswers(messages); len(marked) != n {
		err = fmt.Errorf("data: chat template: it marks %d answers of %d", len(marked), n)
	}
	if err != nil {
		return nil, err
	}
	var turns []Turn
	var done []int32 // the ids of the turns so far
	for _, a := range answers {
		prompt, whole := r.encode(text[:a[0]]), r.encode(text[:a[1]])
		start := commonPrefix(prompt, whole)
		if start < len(done) || commonPrefix(done, whole) < len(done) {
			return nil, fmt.Errorf("data: chat template: the tokens of answer %d depend on what comes after the answer before it", len(turns))
		}
		turns = append(turns, Turn{Prompt: whole[len(done):start], Answer: whole[start:]})
		done = whole
	}
	if messages[last].Role == User {
		turns = append(turns, Turn{Prompt: r.encode(text)[len(done):]})
	}
	return turns, nil
}

// countAnswers is how many messages are the assistant's.
func countAnswers(messages []Message) (n int) {
	for _, m := range messages {
		if m.Role == Assistant {
			n++
		}
	}
	return n
}

// rendering renders the dialogue that it was made for. Special tokens in its messages are replaced by characters that no message has, so that
// none means itself in the text that comes out.
type rendering struct {
	*jinjaForm
	messages []chattemplate.Message
	hidden   []string // special tokens that messages have, the longest first
	first    rune     // the character for the first of them, the next ones follow
}

// hide finds the special tokens in messages.
func (f *jinjaForm) hide(messages []Message) (*rendering, error) {
	in := func(holds func(content string) bool) bool {
		return slices.ContainsFunc(messages, func(m Message) bool { return holds(m.Content) })
	}
	r := &rendering{jinjaForm: f, first: 0x100000} // a private use area of Unicode
	for _, token := range f.special {
		if in(func(content string) bool { return strings.Contains(content, token) }) {
			r.hidden = append(r.hidden, token)
		}
	}
	const end, step = 0x10FFFE, 0x1000
	used := func(c rune) bool { return c >= r.first && c < r.first+step }
	for len(r.hidden) > 0 && in(func(content string) bool { return strings.ContainsFunc(content, used) }) {
		if r.first += step; r.first >= end {
			return nil, errors.New("data: chat template: the messages have characters of all of plane 16, which nobody uses, and special tokens")
		}
	}
	var pairs []string // where one token begins another, the first of the list counts
	for i, token := range r.hidden {
		pairs = append(pairs, token, string(r.first+rune(i)))
	}
	replacer := strings.NewReplacer(pairs...)
	for _, m := range messages {
		r.messages = append(r.messages, chattemplate.Message{Role: m.Role.String(), Content: replacer.Replace(m.Content)})
	}
	return r, nil
}

// render gives the text of the first n messages, and the answers in it that are marked.
func (r *rendering) render(n int, generate bool) (text string, marked [][2]int, err error) {
	text, marked, err = r.template.Render(r.messages[:n], r.variables, generate)
	if err != nil {
		return "", nil, fmt.Errorf("data: chat template: %w", err)
	}
	return text, marked, nil
}

// answers finds the answers in the text of a dialogue.
func (r *rendering) answers(messages []Message, text string) (found [][2]int, err error) {
	for i, m := range messages {
		if m.Role != Assistant {
			continue
		}
		prompt, _, err := r.render(i, true)
		if err != nil {
			return nil, err
		}
		rest, ok := strings.CutPrefix(text, prompt)
		if !ok {
			at := commonPrefix([]rune(prompt), []rune(text))
			return nil, fmt.Errorf("data: chat template: it asks for the answer of message %d by %q, and begins the answer with %q", i, from(prompt, at), from(text, at))
		}
		end := -1
		for _, token := range r.ends {
			if k := strings.Index(rest, token); k >= 0 && (end < 0 || k+len(token) < end) {
				end = k + len(token)
			}
		}
		if end < 0 {
			return nil, fmt.Errorf("data: chat template: no %s comes after the answer of message %d: a model could not learn to stop", strings.Join(r.ends, " or "), i)
		}
		found = append(found, [2]int{len(prompt), len(prompt) + end})
	}
	for i := 1; i < len(found); i++ {
		if found[i][0] < found[i-1][1] {
			return nil, fmt.Errorf("data: chat template: no %s comes between two answers: a model could not learn to stop", strings.Join(r.ends, " or "))
		}
	}
	return found, nil
}

// from quotes a few characters from one on.
func from(text string, at int) string {
	runes := []rune(text)[at:]
	return string(runes[:min(len(runes), 20)])
}

// encode gives the ids of a rendered text, with what was hidden in it as letters.
func (r *rendering) encode(text string) []int32 {
	if len(r.hidden) == 0 {
		return r.tok.EncodeRendered(text, nil)
	}
	var b strings.Builder
	var literal [][2]int
	for _, c := range text {
		i := int(c - r.first)
		if i < 0 || i >= len(r.hidden) {
			b.WriteRune(c)
			continue
		}
		token := r.hidden[i]
		literal = append(literal, [2]int{b.Len(), b.Len() + len(token)})
		b.WriteString(token)
	}
	return r.tok.EncodeRendered(b.String(), literal)
}
