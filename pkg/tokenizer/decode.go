package tokenizer

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Decode returns the text of the ids: pieces joined, "▁" as a space, bytes as UTF-8 (U+FFFD for each that is not valid),
// control pieces as nothing, the unknown piece as " ⁇ ", and without the dummy prefix. An id that is not in the
// vocabulary is an error.
//
// What came from a tokenizer.json is decoded as the file says, special tokens left out. Hugging Face's tokenizers give
// U+FFFD for each byte of a run of byte pieces if any of them is wrong, and so does Decode then. With byte-level BPE a part
// that is not UTF-8 becomes one U+FFFD if it could be the start of a character, else one for each byte.
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
	dropped int    // spaces at the start of the text, of a tokenizer.json
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
	if t.hugging != nil {
		return s.nextHugging(id), nil
	}
	if p.Type == Byte {
		b, _ := parseByteName(p.Text)
		s.pending = append(s.pending, b)
		return s.runes(false), nil
	}
	before := s.runes(true)
	text := ""
	switch p.Type {
	case Control:
	case Unknown:
		text = t.spec.unkSurface
	default:
		text = s.unescape(p.Text)
	}
	s.any = s.any || text != ""
	return before + text, nil
}

// Flush returns what is left of an unfinished character, U+FFFD for each of its bytes.
func (s *Stream) Flush() string {
	switch h := s.t.hugging; {
	case h == nil:
		return s.runes(true)
	case h.decoder.byteLevel:
		text, _ := lossy(s.pending, true)
		s.pending = nil
		return text
	}
	return s.strip(s.run())
}

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

// nextHugging is Next by the decoder of a tokenizer.json. Bytes wait for the end of their run: one wrong byte spoils all.
func (s *Stream) nextHugging(id int32) string {
	p, h := s.t.pieces[id], s.t.hugging
	if p.Type == Control || p.Type == Unknown && h.unkSpecial {
		return ""
	}
	if h.decoder.byteLevel {
		if p.Type == Unused { // fills the vocabulary up
			return ""
		}
		text := ""
		text, s.pending = lossy(append(s.pending, h.bytes.texts[id]...), false)
		return text
	}
	text := p.Text
	if shown, ok := h.shown[id]; ok {
		text = shown
	}
	if b, ok := parseByteName(text); ok && h.decoder.bytes {
		s.pending = append(s.pending, b)
		s.inside = true
		return ""
	}
	by := " "
	if h.decoder.dropFirst && !s.inside {
		by = ""
	}
	s.inside = true
	return s.strip(s.run() + strings.ReplaceAll(text, space, by))
}

// run returns the text of the pending bytes.
func (s *Stream) run() string {
	text := string(s.pending)
	if !utf8.ValidString(text) {
		text = strings.Repeat(replacement, len(text))
	}
	s.pending = nil
	return text
}

// strip takes the spaces off the start of the text that the decoder says.
func (s *Stream) strip(text string) string {
	limit := s.t.hugging.decoder.strip
	for s.dropped < limit && strings.HasPrefix(text, " ") {
		text = text[1:]
		s.dropped++
	}
	if text != "" {
		s.dropped = limit
	}
	return text
}
