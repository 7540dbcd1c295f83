package data

import (
	"crypto/sha256"
	"iter"
	"strings"

	"github.com/tame-rlhf/tame/internal/enum"
)

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
func (e Extent) of(s Size) int {
	switch e {
	case PromptOnly:
		return s.Prompt
	case AnswerOnly:
		return s.Answer
	}
	return s.Whole()
}

// takes says whether the extent has a part.
func (e Extent) takes(p Part) bool {
	return e == WholeRow || p.Answer == (e == AnswerOnly)
}

// texts are the parts of a row that the extent has, with their speakers; with foldCase upper and lower case are the same.
func (e Extent) texts(row interface{ Parts() []Part }, foldCase bool) iter.Seq2[Role, string] {
	return func(yield func(Role, string) bool) {
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

// Dedup finds rows that say the same as one before: the same words by the same speakers. White space does not count, nor
// do ratings, sources and scores. It keeps 16 bytes of a hash for each row that differs.
type Dedup struct {
	// Of is what has to be the same: the whole row, or only the prompt or the answers.
	Of Extent
	// FoldCase takes upper and lower case for the same.
	FoldCase bool

	seen map[[16]byte]struct{}
	buf  []byte
}

// Seen says whether a row like this one was there before, and remembers it.
func (d *Dedup) Seen(row interface{ Parts() []Part }) bool {
	if d.seen == nil {
		d.seen = map[[16]byte]struct{}{}
	}
	b := d.buf[:0]
	for role, text := range d.Of.texts(row, d.FoldCase) {
		b = append(b, byte(role))
		for word := range strings.FieldsSeq(text) {
			b = append(append(b, word...), ' ')
		}
		b = append(b, '\n') // no word has one
	}
	sum := sha256.Sum256(b)
	key := [16]byte(sum[:16])
	_, seen := d.seen[key]
	d.seen[key], d.buf = struct{}{}, b
	return seen
}
