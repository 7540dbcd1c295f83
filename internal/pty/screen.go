//go:build linux

package pty

import (
	"strings"

	"golang.org/x/text/width"
)

// screen does what a terminal does with carriage return, line feed, "erase to the end of the line" and the end of a line.
// Anything else that steers is shown as �, so that a test sees it.
type screen struct {
	columns, row, column, wraps int

	lines  [][]rune // a wide character takes two cells, the second is 0
	escape string   // the beginning of a sequence
}

func (s *screen) write(text string) {
	for _, c := range text {
		switch {
		case s.escape != "" || c == '\x1b':
			s.escape += string(c)
			if s.escape == "\x1b[K" {
				s.lines[s.row] = s.lines[s.row][:min(s.column, len(s.lines[s.row]))]
				s.escape = ""
			} else if !strings.HasPrefix("\x1b[K", s.escape) {
				s.put('�')
				s.escape = ""
			}
		case c == '\r':
			s.column = 0
		case c == '\n':
			s.feed()
		case c < ' ' || c == 0x7f:
			s.put('�')
		default:
			s.put(c)
		}
	}
}

// feed goes one line down: the terminal's driver puts a carriage return before each line feed.
func (s *screen) feed() {
	if s.row++; s.row == len(s.lines) {
		s.lines = append(s.lines, nil)
	}
}

func (s *screen) put(c rune) {
	cells := []rune{c}
	if k := width.LookupRune(c).Kind(); k == width.EastAsianWide || k == width.EastAsianFullwidth {
		cells = []rune{c, 0}
	}
	if s.column+len(cells) > s.columns {
		s.wraps++
		s.feed()
		s.column = 0
	}
	for len(s.lines[s.row]) < s.column+len(cells) {
		s.lines[s.row] = append(s.lines[s.row], ' ')
	}
	copy(s.lines[s.row][s.column:], cells)
	s.column += len(cells)
}

func (s *screen) text() []string {
	var lines []string
	for _, cells := range s.lines {
		lines = append(lines, strings.TrimRight(strings.ReplaceAll(string(cells), "\x00", ""), " "))
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}
