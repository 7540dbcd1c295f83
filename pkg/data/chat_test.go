package data_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
)

// words is a tokenizer whose pieces are a space and what follows it, as SentencePiece's words are: ids are given out
// as pieces turn up. Pieces listed in atoms are kept whole.
type words struct {
	ids   map[string]int32
	names []string
	atoms []string
	merge bool // a fault: a piece may go on past a space
}

func newWords(atoms ...string) *words {
	return &words{ids: map[string]int32{}, names: []string{"<unk>", "<s>", "</s>"}, atoms: atoms}
}

func (w *words) BOS() int32 { return 1 }
func (w *words) EOS() int32 { return 2 }

func (w *words) Encode(text string) (ids []int32) {
	text = " " + text
	for _, atom := range w.atoms {
		text = strings.ReplaceAll(text, atom, "\x00"+atom+"\x00")
	}
	text = strings.ReplaceAll(text, " ", "\x00 ")
	if w.merge {
		text = strings.ReplaceAll(text, "[/INST]\x00 ", "[/INST] ")
	}
	for piece := range strings.SplitSeq(text, "\x00") {
		if piece == "" {
			continue
		}
		id, ok := w.ids[piece]
		if !ok {
			id = int32(len(w.names))
			w.ids[piece], w.names = id, append(w.names, piece)
		}
		ids = append(ids, id)
	}
	return ids
}

func (w *words) Decode(ids []int32) string {
	var b strings.Builder
	for _, id := range ids {
		b.WriteString(w.names[id])
	}
	return b.String()
}

// marked is the text with every counted piece in braces.
func (w *words) marked(e data.Example) string {
	var b strings.Builder
	for i, id := range e.Tokens {
		if e.Weights[i] == 1 {
			fmt.Fprintf(&b, "{%s}", w.names[id])
		} else {
			b.WriteString(w.names[id])
		}
	}
	return b.String()
}

func dialog(contents ...string) []data.Message {
	messages := make([]data.Message, len(contents))
	for i, content := range contents {
		messages[i] = data.Message{Role: data.User + data.Role(i%2), Content: content}
	}
	return messages
}

func withSystem(system string, messages []data.Message) []data.Message {
	return append([]data.Message{{Role: data.System, Content: system}}, messages...)
}

func TestTemplateText(t *testing.T) {
	tok := newWords()
	template, err := data.Llama2Template(tok)
	require.NoError(t, err)
	messages := withSystem(" Be kind. ", dialog("  Hi there\n", "\tHello. \x1f", "Bye", "Bye bye"))

	e, err := template.EncodeDialog(messages, data.AllTurns)
	require.NoError(t, err)
	// The form of the reference code, written out: the first message is stripped together with the system prompt.
	assert.Equal(t, "<s> [INST] <<SYS>>\n Be kind. \n<</SYS>>\n\n  Hi there [/INST] Hello. </s>"+
		"<s> [INST] Bye [/INST] Bye bye </s>", tok.Decode(e.Tokens))
	assert.Equal(t, "<s> [INST] <<SYS>>\n Be kind. \n<</SYS>>\n\n  Hi there [/INST]{ Hello.}{ }{</s>}"+
		"<s> [INST] Bye [/INST]{ Bye}{ bye}{ }{</s>}", tok.marked(e))

	e, err = template.EncodeDialog(messages, data.LastTurn)
	require.NoError(t, err)
	assert.Equal(t, "<s> [INST] <<SYS>>\n Be kind. \n<</SYS>>\n\n  Hi there [/INST] Hello. </s>"+
		"<s> [INST] Bye [/INST]{ Bye}{ bye}{ }{</s>}", tok.marked(e))

	// A question without an answer: the last answer is the one before.
	e, err = template.EncodeDialog(messages[:4], data.LastTurn)
	require.NoError(t, err)
	assert.Equal(t, "<s> [INST] <<SYS>>\n Be kind. \n<</SYS>>\n\n  Hi there [/INST]{ Hello.}{ }{</s>}"+
		"<s> [INST] Bye [/INST]", tok.marked(e))
}

func TestTemplateTokenInTokenOut(t *testing.T) {
	template, err := data.Llama2Template(newWords())
	require.NoError(t, err)
	for _, messages := range [][]data.Message{
		dialog("Hi", "Hello there"),
		dialog("Hi", ""),
		withSystem("Be kind.", dialog("Hi", "Hello", "Bye", "Bye bye")),
	} {
		whole, err := template.EncodeDialog(messages, data.LastTurn)
		require.NoError(t, err)
		prompt, err := template.EncodePrompt(messages[:len(messages)-1])
		require.NoError(t, err)
		require.Equal(t, prompt, whole.Tokens[:len(prompt)], "the prompt's ids are a prefix of the dialogue's")
		assert.Equal(t, whole, data.Join(prompt, whole.Tokens[len(prompt):]))
	}
}

func TestTemplateMergeAcrossBoundary(t *testing.T) {
	tok := newWords()
	tok.merge = true
	template, err := data.Llama2Template(tok)
	require.NoError(t, err)
	e, err := template.EncodeDialog(dialog("Hi", "Hello there"), data.AllTurns)
	require.NoError(t, err)
	assert.Equal(t, "<s> [INST] Hi{ [/INST] Hello}{ there}{ }{</s>}", tok.marked(e))
}

func TestPieceTemplate(t *testing.T) {
	_, err := data.PieceTemplate(cutter{})
	assert.ErrorContains(t, err, `"[INST]" into 6 pieces`)

	tok := newWords(data.Tags()...)
	template, err := data.PieceTemplate(tok)
	require.NoError(t, err)
	reference := newWords()
	same, err := data.Llama2Template(reference)
	require.NoError(t, err)
	messages := withSystem("Be kind.", dialog("Hi there", "Hello.", "Bye", "Bye bye"))
	e, err := template.EncodeDialog(messages, data.AllTurns)
	require.NoError(t, err)
	for _, tag := range data.Tags() {
		assert.Contains(t, e.Tokens, tok.ids[tag], "%s is one id", tag)
	}
	sameExample, err := same.EncodeDialog(messages, data.AllTurns)
	require.NoError(t, err)
	assert.Equal(t, reference.marked(sameExample), tok.marked(e))
}

// cutter makes a token of every byte.
type cutter struct{}

func (cutter) BOS() int32 { return 1 }
func (cutter) EOS() int32 { return 2 }
func (cutter) Encode(text string) (ids []int32) {
	for _, b := range []byte(text) {
		ids = append(ids, int32(b)+3)
	}
	return ids
}

type noEOS struct{ cutter }

func (noEOS) EOS() int32 { return -1 }

func TestTemplateRefuses(t *testing.T) {
	template, err := data.Llama2Template(cutter{})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		messages []data.Message
		want     string
	}{
		"empty":             {nil, "no user message"},
		"system alone":      {withSystem("Be kind.", nil), "no user message"},
		"assistant first":   {dialog("Hi", "Hello")[1:], "message 0 is from assistant, want user"},
		"user twice":        {append(dialog("Hi"), dialog("Hi")...), "message 1 is from user, want assistant"},
		"system in between": {append(dialog("Hi", "Hello"), withSystem("x", nil)...), "message 2 is from system, want user"},
		"no role":           {[]data.Message{{Content: "Hi"}}, "from Role(0)"},
		"blank user":        {dialog(" \n"), "message 0 (user) is blank"},
		"tag in user":       {withSystem("Be kind.", dialog("a [/INST] b")), `message 1 (user) has "[/INST]"`},
		"tag in system":     {withSystem("<</SYS>>", dialog("Hi")), `message 0 (system) has "<</SYS>>"`},
		"tag in assistant":  {dialog("Hi", "[INST]"), `message 1 (assistant) has "[INST]"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := template.EncodeDialog(c.messages, data.AllTurns)
			assert.ErrorContains(t, err, c.want)
			assert.Equal(t, strings.HasPrefix(name, "tag"), strings.Contains(err.Error(), data.ErrTag.Error()))
		})
	}
	_, err = template.EncodePrompt(dialog("Hi", "Hello"))
	assert.ErrorContains(t, err, "the last of the prompt, is from assistant")
	_, err = data.Llama2Template(nil)
	assert.Error(t, err)
	_, err = data.Llama2Template(noEOS{})
	assert.ErrorContains(t, err, "needs BOS and EOS")
}

func TestMessageJSON(t *testing.T) {
	var messages []data.Message
	require.NoError(t, json.Unmarshal([]byte(`[{"role":"system","content":"a"},{"role":"user","content":"b"}]`), &messages))
	assert.Equal(t, withSystem("a", dialog("b")), messages)
	raw, err := json.Marshal(messages[1])
	require.NoError(t, err)
	assert.JSONEq(t, `{"role":"user","content":"b"}`, string(raw))
	assert.ErrorContains(t, json.Unmarshal([]byte(`{"role":"robot"}`), &messages[0]),
		`unknown role "robot", want system, user or assistant`)
	_, err = json.Marshal(data.Message{})
	assert.ErrorContains(t, err, "unknown role 0")
}
