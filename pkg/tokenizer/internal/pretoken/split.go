package pretoken

import "strings"

// Splitter cuts a text into pieces and calls emit for each, from left to right. A text that is not empty has a piece that
// is not empty, unless the splitter drops what it matches.
type Splitter interface {
	Split(text string, emit func(piece string))
}

// Chain applies one splitter to the pieces of the one before. An empty chain leaves the text whole.
type Chain []Splitter

// Split cuts the text.
func (c Chain) Split(text string, emit func(piece string)) {
	switch {
	case text == "":
	case len(c) == 0:
		emit(text)
	case len(c) == 1:
		c[0].Split(text, emit)
	default:
		rest := c[1:]
		c[0].Split(text, func(piece string) { rest.Split(piece, emit) })
	}
}

// Prefix puts a space in front of a text that does not begin with one.
type Prefix struct{}

// Split does not cut the text.
func (Prefix) Split(text string, emit func(piece string)) {
	if !strings.HasPrefix(text, " ") {
		text = " " + text
	}
	emit(text)
}

// Digits takes numbers out of a text: each character as a piece of its own, or runs of them.
type Digits struct {
	individual bool
	classes    *classes
}

// NewDigits returns the splitter.
func NewDigits(individual bool) Digits { return Digits{individual, loadClasses()} }

// Split cuts the text.
func (d Digits) Split(text string, emit func(piece string)) {
	start, wasNumber := 0, false
	for i := 0; i < len(text); {
		is, n := d.classes.digit(text, i)
		if i > start && (is != wasNumber || is && d.individual) {
			emit(text[start:i])
			start = i
		}
		wasNumber = is
		i += n
	}
	if start < len(text) {
		emit(text[start:])
	}
}
