package tokenizer

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Decode returns the text of the ids: pieces joined, "▁" as a space, bytes as UTF-8 (U+FFFD for each that is not valid),
// control pieces as nothing, the unknown piece as " ⁇ ", and without the dummy prefix. An id that is not in the
// vocabulary is an error.
func (t *Tokenizer) Decode(ids []int32) (string, error) {
	var b strings.Builder
	s := t.NewStream()
	for i, id := range ids {
		text, err := s.Next(id)
		if err != nil {
			return "", fmt.Errorf("tokenizer: decode: position %d: id %d is not in the vocabulary of %d pieces",
				i, id, len(t.pieces))
		}
		b.WriteString(text)
	}
	b.WriteString(s.Flush())
	return b.String(), nil
}

// Stream decodes ids one by one, for output while it is being generated. The texts it returns, joined, are what
// [Tokenizer.Decode] gives for all the ids.
type Stream struct {
	t       *Tokenizer
	pending []byte // byte pieces that do not make a character yet
	any     bool   // some text came out
	inside  bool   // past the place of the dummy prefix
}

// NewStream returns a stream at the start of a text.
func (t *Tokenizer) NewStream() *Stream { return &Stream{t: t} }

// Next returns the text that id completes: "" for control pieces and for all but the last byte of a character.
// An id outside the vocabulary is an error and changes nothing.
func (s *Stream) Next(id int32) (string, error) {
	t := s.t
	if id < 0 || int(id) >= len(t.pieces) {
		return "", fmt.Errorf("tokenizer: decode: id %d is not in the vocabulary of %d pieces", id, len(t.pieces))
	}
	p := t.pieces[id]
	if p.kind == Byte {
		b, _ := parseByteName(p.text)
		s.pending = append(s.pending, b)
		return s.runes(false), nil
	}
	before := s.runes(true)
	text := ""
	switch p.kind {
	case Control:
	case Unknown:
		text = t.spec.unkSurface
	default:
		text = s.unescape(p.text)
	}
	s.any = s.any || text != ""
	return before + text, nil
}

// Flush returns what is left of an unfinished character, U+FFFD for each of its bytes.
func (s *Stream) Flush() string { return s.runes(true) }

// unescape turns "▁" into spaces and leaves out the dummy prefix: one space at the start of the text, or all where the
// normaliser drops leading spaces too.
func (s *Stream) unescape(text string) string {
	sp := &s.t.spec
	s.inside = s.inside || s.any
	if !s.inside && (sp.dummyPrefix || sp.removeExtra) && strings.HasPrefix(text, space) {
		text = text[len(space):]
		s.inside = !sp.removeExtra
	}
	return strings.ReplaceAll(text, space, " ")
}

// runes takes the complete characters off the pending bytes, or everything.
func (s *Stream) runes(all bool) string {
	if len(s.pending) == 0 {
		return ""
	}
	var b strings.Builder
	for len(s.pending) > 0 && (all || utf8.FullRune(s.pending)) {
		r, n := utf8.DecodeRune(s.pending)
		b.WriteRune(r) // utf8.RuneError is U+FFFD
		s.pending = s.pending[n:]
	}
	if len(s.pending) == 0 {
		s.pending = nil
	}
	s.any = s.any || b.Len() > 0
	return b.String()
}
