package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tame-rlhf/tame/pkg/data"
)

// isOASST says whether a row is a message of a tree.
func isOASST(f fields) bool { return f.has("message_id", "role", "text") }

// treeMessage is a message of a tree that others may answer.
type treeMessage struct {
	parent string
	said   importedMessage
}

// oasstRows reads trees of messages as those of OpenAssistant, a message a row, each after the one it answers. Every answer that
// is the best to its question, or the only one, gives a conversation in which it alone is learned.
func oasstRows(_ Config, source string) converter[data.Conversation] {
	type row struct {
		ID      string  `json:"message_id"`
		Parent  *string `json:"parent_id"`
		Role    string
		Text    string
		Rank    json.RawMessage
		Deleted flag
		Review  *flag `json:"review_result"`
	}
	tree := newWaiting(func([]treeMessage) {})
	return several(func(r row) ([]data.Conversation, error) {
		role, ok := importedRoles[strings.ToLower(r.Role)]
		parent := value(r.Parent)
		switch {
		case !ok:
			return nil, fmt.Errorf("a message is from %q, want prompter or assistant", r.Role)
		case bool(r.Deleted):
			return nil, errors.New(`the message is deleted ("deleted": true)`)
		case r.Review != nil && !bool(*r.Review):
			return nil, errors.New(`the message did not pass its review ("review_result": false)`)
		case parent != "" && len(tree.answers[parent]) == 0:
			return nil, fmt.Errorf("there is no message %q before this one, which answers it: sort the rows so that a message comes after its parent", parent)
		}
		tree.set(r.ID, []treeMessage{{parent, said(role, r.Text)}}, len(r.Text))
		if role != data.Assistant {
			return nil, errSkip{"a question: its answers give the conversations"}
		}
		if rank := strings.Trim(string(r.Rank), `"`); rank != "" && rank != "null" && strings.TrimRight(rank, ".0") != "" {
			return nil, errSkip{`another answer to the same question was ranked better ("rank" above 0)`}
		}
		turns := []importedMessage{said(role, r.Text)}
		for ; parent != ""; parent = tree.answers[parent][0].parent {
			if len(tree.answers[parent]) == 0 || len(turns) > maxTurns {
				return nil, errors.New("the messages before this one were too long to keep, or answer each other in a circle")
			}
			context := tree.answers[parent][0].said
			context.Weight = new(float32)
			turns = append(turns, context)
		}
		slices.Reverse(turns)
		c, err := conversation(source, learned{turns: turns})
		return []data.Conversation{c}, err
	})
}

// maxTurns bounds the dialogue of a tree whose messages answer each other in a circle.
const maxTurns = 1000

// The marks of Llama 2's chat format, of which BOS and EOS are ids in the reference code and texts in the data of some trainers.
const bos, eos = "<s>", "</s>"

// isLlama2 says whether a row is a text in Llama 2's chat format.
func isLlama2(f fields) bool {
	var text string
	return f.is("text", '"') && json.Unmarshal(f["text"], &text) == nil && strings.HasPrefix(cutMark(text, bos), data.Tags()[0])
}

func cutMark(text, mark string) string {
	return data.TrimSpace(strings.TrimPrefix(data.TrimSpace(text), mark))
}

// llama2 cuts "<s>[INST] <<SYS>>\nsystem\n<</SYS>>\n\nuser [/INST] assistant </s><s>[INST] user [/INST] assistant </s>".
func llama2(r struct {
	question
	Text string
	quality
}) (learned, error) {
	tags := data.Tags()
	inst, instEnd, sys, sysEnd := tags[0], tags[1], tags[2], tags[3]
	var turns []importedMessage
	for text := cutMark(r.Text, bos); text != ""; text = cutMark(text, bos) {
		body, ok := strings.CutPrefix(text, inst)
		if !ok {
			return learned{}, fmt.Errorf("the text has %q where %s belongs", start(text), inst)
		}
		user, rest, ok := strings.Cut(body, instEnd)
		if !ok {
			return learned{}, fmt.Errorf("%s is not followed by %s", inst, instEnd)
		}
		if system, after, ok := strings.Cut(user, sysEnd); ok && len(turns) == 0 {
			before, system, ok := strings.Cut(system, sys)
			if !ok || data.TrimSpace(before) != "" {
				return learned{}, fmt.Errorf("%s is not at the beginning of the first question", sys)
			}
			turns, user = append(turns, said(data.System, data.TrimSpace(system))), after
		}
		answer, next := rest, ""
		for _, end := range []string{eos, bos + inst, bos + " " + inst, inst} {
			if i := strings.Index(answer, end); i >= 0 {
				answer, next = rest[:i], strings.TrimPrefix(rest[i:], eos)
			}
		}
		turns = append(turns, said(data.User, data.TrimSpace(user)))
		if text = next; data.TrimSpace(answer) != "" || next != "" {
			turns = append(turns, said(data.Assistant, data.TrimSpace(answer)))
		}
	}
	turns, err := r.beside(turns)
	return learned{turns, r.quality}, err
}

// start is a text's beginning.
func start(text string) string { return string([]rune(text)[:min(20, len([]rune(text)))]) }
