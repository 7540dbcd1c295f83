package tokenizer

import (
	"maps"
	"slices"
	"unicode"
)

// pieceRules says which texts may become a piece.
type pieceRules struct {
	maxLength     int
	splitDigits   bool
	splitByScript bool

	scripts map[rune]int // script of each character met so far
	tables  []*unicode.RangeTable
	han     int
}

// anyScript goes with every other: the number before the first character of a piece.
const anyScript = -1

// Numbers of the first scripts; the others follow in the order of their names.
const (
	scriptCommon = iota
	scriptInherited
	scriptOthers
)

func newPieceRules(cfg TrainConfig) pieceRules {
	r := pieceRules{
		maxLength: cfg.MaxPieceLength, splitDigits: cfg.SplitDigits, splitByScript: cfg.SplitByScript,
		scripts: make(map[rune]int),
	}
	for _, name := range slices.Sorted(maps.Keys(unicode.Scripts)) {
		if name == "Han" {
			r.han = scriptOthers + len(r.tables)
		}
		r.tables = append(r.tables, unicode.Scripts[name])
	}
	return r
}

// allow follows SentencePiece: "▁" only in front or alone, tabs and null nowhere, digits alone, one script.
func (r *pieceRules) allow(text string) bool {
	chars := []rune(text)
	if len(chars) == 0 || len(chars) > r.maxLength {
		return false
	}
	const spaceRune = '\u2581'
	onlySpaces := !slices.ContainsFunc(chars, func(c rune) bool { return c != spaceRune })
	last := anyScript
	for i, c := range chars {
		switch {
		case c == 0, c == '\t':
			return false
		case c == spaceRune:
			if i > 0 && !onlySpaces {
				return false
			}
			continue
		case r.splitDigits && isDigit(c) && len(chars) > 1:
			return false
		}
		if s := r.script(c, last); r.splitByScript {
			if last != anyScript && s != anyScript && s != last {
				return false
			}
			last = s
		}
	}
	return true
}

// isDigit knows the ASCII and the full-width digits, as SentencePiece does.
func isDigit(c rune) bool { return c >= '0' && c <= '9' || c >= '\uFF10' && c <= '\uFF19' }

// script returns the script of a character that stands after one of the script last.
func (r *pieceRules) script(c rune, last int) int {
	s, ok := r.scripts[c]
	if !ok {
		s = r.find(c)
		r.scripts[c] = s
	}
	if s == scriptInherited {
		return last
	}
	return s
}

func (r *pieceRules) find(c rune) int {
	switch {
	case unicode.In(c, unicode.Hiragana, unicode.Katakana), c == '\u30FC': // a long vowel belongs to both
		return r.han
	case unicode.Is(unicode.Inherited, c):
		return scriptInherited
	case unicode.Is(unicode.Common, c):
		return scriptCommon
	}
	for i, table := range r.tables {
		if unicode.Is(table, c) {
			return scriptOthers + i
		}
	}
	return scriptCommon // unassigned
}
