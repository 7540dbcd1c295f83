package curate

import (
	"iter"
	"strings"

	"github.com/tame-rlhf/tame/internal/enum"
	"github.com/tame-rlhf/tame/pkg/data"
)

// Row is a row that says something: data.Text, data.Prompt, data.Conversation, data.Preference and data.Sample.
type Row interface{ Parts() []data.Part }

// Extent is what of a row is looked at.
type Extent int

// The extents.
const (
	WholeRow   Extent = iota
	PromptOnly        // what comes before the answer
	AnswerOnly        // the answer; of a conversation all of them
)

var extentNames = []string{WholeRow: "row", PromptOnly: "prompt", AnswerOnly: "answer"}

// String is row, prompt or answer.
func (e Extent) String() string { return enum.String("Extent", e, extentNames) }

// MarshalText is String for known extents.
func (e Extent) MarshalText() ([]byte, error) { return enum.Marshal("extent", e, extentNames) }

// UnmarshalText reads what MarshalText writes.
func (e *Extent) UnmarshalText(text []byte) error {
	return enum.Unmarshal("extent", text, e, extentNames)
}

// of is the extent's part of a size.
func (e Extent) of(s data.Size) int {
	switch e {
	case PromptOnly:
		return s.Prompt
	case AnswerOnly:
		return s.Answer
	}
	return s.Whole()
}

// takes says whether the extent has a part.
func (e Extent) takes(p data.Part) bool {
	return e == WholeRow || p.Answer == (e == AnswerOnly)
}

// texts are the parts of a row that the extent has, with their speakers; with foldCase upper and lower case are the same.
func (e Extent) texts(row Row, foldCase bool) iter.Seq2[data.Role, string] {
	return func(yield func(data.Role, string) bool) {
		for _, p := range row.Parts() {
			if !e.takes(p) {
				continue
			}
			text := p.Text
			if foldCase {
				text = strings.ToLower(text)
			}
			if !yield(p.Role, text) {
				return
			}
		}
	}
}
