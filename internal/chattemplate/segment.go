package chattemplate

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// segment is a part of a template: text, or what is inside a tag.
type segment struct {
	open string // "{{", "{%" or "{#"; "" for text
	body string
	line int // where it starts
}

// closers are the ends of tags.
var closers = map[string]string{"{{": "}}", "{%": "%}", "{#": "#}"}

// endRaw ends a part in which tags are text.
var endRaw = regexp.MustCompile(`\{%[-+]?\s*endraw\s*[-+]?%\}`)

// scanner cuts a template into segments with the white space around tags dropped, as Jinja's lexer does with trim_blocks and
// lstrip_blocks: a "-" drops all white space on its side; without a sign, blocks and comments drop the indentation of their line and
// the line break after them.
type scanner struct {
	source   string
	at       int
	line     int
	atStart  bool // what was read last ended a line
	segments []segment
}

// scan cuts the source of a template.
func scan(source string) ([]segment, error) {
	source = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(source)
	s := scanner{source: strings.TrimSuffix(source, "\n"), line: 1, atStart: true}
	for {
		n := nextTag(s.source[s.at:])
		if n < 0 {
			s.text(s.source[s.at:])
			return s.segments, nil
		}
		text := s.source[s.at : s.at+n]
		s.at += n
		if err := s.tag(text); err != nil {
			return nil, err
		}
	}
}

// nextTag is the offset of the next tag, -1 if there is none.
func nextTag(source string) int {
	for i := 0; i+1 < len(source); i++ {
		if source[i] == '{' && strings.IndexByte("{%#", source[i+1]) >= 0 {
			return i
		}
	}
	return -1
}

// text adds text of the template.
func (s *scanner) text(text string) {
	if text != "" {
		s.segments = append(s.segments, segment{body: text, line: s.line})
		s.line += strings.Count(text, "\n")
	}
}

// drop adds a comment for text that is left out, so that errors name the template's own lines.
func (s *scanner) drop(space string) {
	if n := strings.Count(space, "\n"); n > 0 {
		s.segments = append(s.segments, segment{open: "{#", body: strings.Repeat("\n", n), line: s.line})
		s.line += n
	}
}

// tag reads the tag at s.at, which text comes before.
func (s *scanner) tag(text string) error {
	open := s.source[s.at : s.at+2]
	body, n, err := tagBody(s.source[s.at+2:], closers[open], open != "{#")
	if err != nil {
		return fmt.Errorf("line %d: %w", s.line+strings.Count(text, "\n"), err)
	}
	s.at += 2 + n
	sign := ""
	if body != "" && strings.IndexByte("-+", body[0]) >= 0 {
		sign, body = body[:1], body[1:]
	}
	s.before(text, sign, open)
	end := ""
	if body != "" && (body[len(body)-1] == '-' || body[len(body)-1] == '+' && open != "{{") {
		end, body = body[len(body)-1:], body[:len(body)-1]
	}
	if open == "{%" && strings.TrimSpace(body) == "raw" {
		return s.raw(end)
	}
	s.segments = append(s.segments, segment{open: open, body: body, line: s.line})
	s.line += strings.Count(body, "\n")
	s.after(end, open)
	return nil
}

// before adds the text before a tag.
func (s *scanner) before(text, sign, open string) {
	kept := text
	switch {
	case sign == "-":
		kept = strings.TrimRightFunc(text, unicode.IsSpace)
	case sign == "" && open != "{{":
		start := strings.LastIndexByte(text, '\n') + 1
		if (start > 0 || s.atStart) && strings.TrimSpace(text[start:]) == "" {
			kept = text[:start]
		}
	}
	s.text(kept)
	s.drop(text[len(kept):])
}

// after drops the white space after a tag.
func (s *scanner) after(sign, open string) {
	rest := s.source[s.at:]
	n := 0
	switch {
	case sign == "-":
		n = len(rest) - len(strings.TrimLeftFunc(rest, unicode.IsSpace))
	case sign == "" && open != "{{" && strings.HasPrefix(rest, "\n"):
		n = 1
	}
	s.atStart = n > 0 && rest[n-1] == '\n'
	s.drop(rest[:n])
	s.at += n
}

// raw adds what is between raw and endraw as text. sign is that of the end of raw's tag.
func (s *scanner) raw(sign string) error {
	if sign == "-" {
		s.after(sign, "{%")
	}
	s.atStart = false
	rest := s.source[s.at:]
	at := endRaw.FindStringIndex(rest)
	if at == nil {
		return fmt.Errorf("line %d: raw without endraw", s.line)
	}
	tag := rest[at[0]+2 : at[1]-2]
	first, last := "", ""
	if strings.IndexByte("-+", tag[0]) >= 0 {
		first = tag[:1]
	}
	if c := tag[len(tag)-1]; c == '-' || c == '+' {
		last = string(c)
	}
	s.at += at[1]
	s.before(rest[:at[0]], first, "{%")
	s.after(last, "{%")
	return nil
}

// tagBody is what comes before a tag's closer, outside of quoted texts, and how long it is with the closer.
func tagBody(source, closer string, quotes bool) (body string, n int, err error) {
	var quote byte
	for i := 0; i < len(source); i++ {
		switch c := source[i]; {
		case quote != 0 && c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case quotes && (c == '"' || c == '\''):
			quote = c
		case strings.HasPrefix(source[i:], closer):
			return source[:i], i + 2, nil
		}
	}
	return "", 0, fmt.Errorf("a tag without its %q", closer)
}
