package pretoken

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/dlclark/regexp2/v2"
)

// Behavior is what becomes of the matches of a pattern, by its name in tokenizer.json.
type Behavior string

// The behaviors.
const (
	Isolated           Behavior = "Isolated"           // a piece of its own
	Removed            Behavior = "Removed"            // dropped
	MergedWithPrevious Behavior = "MergedWithPrevious" // part of the piece before
	MergedWithNext     Behavior = "MergedWithNext"     // part of the piece after
	Contiguous         Behavior = "Contiguous"         // neighbouring matches are one piece
)

var behaviors = []Behavior{Isolated, Removed, MergedWithPrevious, MergedWithNext, Contiguous}

// regex cuts a text by the matches of a pattern.
type regex struct {
	re       *regexp2.Regexp
	behavior Behavior
	invert   bool // matches are what is between the matches
}

// maxPattern is the longest pattern, in bytes: one of five may stand for a class of ten thousand.
const maxPattern = 4096

// NewSplit returns the splitter for a regular expression of Oniguruma, the engine of tokenizers. The error says what in it is not supported.
func NewSplit(pattern string, behavior Behavior, invert bool) (Splitter, error) {
	if s := Scanner(pattern); s != nil && (behavior == Isolated || behavior == Removed && invert) {
		return s, nil // it matches every text, so the two are the same
	}
	if len(pattern) > maxPattern {
		return nil, fmt.Errorf("the pattern has %d bytes, the limit is %d", len(pattern), maxPattern)
	}
	translated, err := translate(pattern)
	if err != nil {
		return nil, fmt.Errorf("the pattern %q has %w", pattern, err)
	}
	return newRegex(translated, behavior, invert)
}

// NewLiteral returns the splitter for a text.
func NewLiteral(text string, behavior Behavior, invert bool) (Splitter, error) {
	return newRegex(regexp2.Escape(text), behavior, invert)
}

func newRegex(pattern string, behavior Behavior, invert bool) (Splitter, error) {
	if !slices.Contains(behaviors, behavior) {
		return nil, fmt.Errorf("the behavior is %q, want one of %q", behavior, behaviors)
	}
	re, err := regexp2.Compile(pattern, regexp2.OptionMaxBacktrackingStackSize(-1)) // bounded by the text
	if err != nil {
		return nil, fmt.Errorf("the pattern %q: %w", pattern, err)
	}
	return &regex{re, behavior, invert}, nil
}

// Split cuts the text.
func (x *regex) Split(text string, emit func(piece string)) {
	start, last := 0, 0 // the pending piece
	was := false        // its last part is a match
	flush := func(to int) {
		if dropped := x.behavior == Removed && was; last > start && !dropped {
			emit(text[start:last])
		}
		start, last = last, to
	}
	x.spans(text, func(end int, match bool) {
		joins := false
		switch x.behavior {
		case MergedWithPrevious:
			joins = match && !was
		case MergedWithNext:
			joins = was && !match
		case Contiguous:
			joins = match == was
		}
		if joins && last > start {
			last = end
		} else {
			flush(end)
		}
		was = match
	})
	flush(last)
}

// spans calls fn with the end of each match and of each text between matches.
func (x *regex) spans(text string, fn func(end int, match bool)) {
	done, at, runes := 0, 0, 0 // bytes; done is the end of the last span
	place := func(rune int) int {
		for ; runes < rune; runes++ {
			_, n := utf8.DecodeRuneInString(text[at:])
			at += n
		}
		return at
	}
	// Without a limit of time or memory no match fails.
	_ = x.re.FindRunesMatches([]rune(text), 0, func(m regexp2.MatchView) bool {
		index, length, _ := m.GroupRange(0)
		start := place(index)
		end := place(index + length)
		if start > done {
			fn(start, x.invert)
		}
		if end > start {
			fn(end, !x.invert)
		}
		done = end
		return true
	})
	if done < len(text) {
		fn(len(text), x.invert)
	}
}

// ranges writes the characters of a class as the inside of a set.
func ranges(of []rune) string {
	var b strings.Builder
	for i := 0; i < len(of); i += 2 {
		fmt.Fprintf(&b, `%s-%s`, setRune(of[i]), setRune(of[i+1]))
	}
	return b.String()
}

// complement returns the ranges of all other characters.
func complement(of []rune) []rune {
	var out []rune
	next := rune(0)
	for i := 0; i < len(of); i += 2 {
		if of[i] > next {
			out = append(out, next, of[i]-1)
		}
		next = of[i+1] + 1
	}
	return append(out, next, utf8.MaxRune)
}

// setRune writes a character for the inside of a set.
func setRune(r rune) string {
	if r < utf8.RuneSelf {
		return fmt.Sprintf(`\x%02x`, r)
	}
	return string(r)
}
