package tokenizer

import (
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// addedToken is a text that is cut out before anything merges.
type addedToken struct {
	id             int32
	text           string
	special        bool
	singleWord     bool // only where no word goes on at its ends
	lstrip, rstrip bool // takes the white space before or after it along
}

// addedTokens finds tokens in a text, at each place the longest.
type addedTokens struct {
	texts  prefixMatcher
	tokens map[string]addedToken
}

func (a *addedTokens) add(t addedToken) {
	if a.tokens == nil {
		a.tokens = make(map[string]addedToken)
	}
	if _, ok := a.tokens[t.text]; !ok {
		a.texts.add(t.text)
	}
	a.tokens[t.text] = t
}

// allowed says whether a special token that a text has at these bytes means itself; nil allows none.
type allowed func(start, end int) bool

func allowAll(_, _ int) bool { return true }

// allowOutside allows what touches none of the ranges, which are in order.
func allowOutside(ranges [][2]int) allowed {
	if len(ranges) == 0 {
		return allowAll
	}
	return func(start, end int) bool {
		i := sort.Search(len(ranges), func(i int) bool { return ranges[i][1] > start })
		return i == len(ranges) || ranges[i][0] >= end
	}
}

// cut calls fn for each token and each text between tokens (token none), from left to right; at is where it starts.
// Special tokens that are not allowed are text, but no other token is found inside them.
func (a *addedTokens) cut(text string, special allowed, fn func(part string, at int, token int32)) {
	if !a.texts.any {
		if text != "" {
			fn(text, 0, none)
		}
		return
	}
	done := 0 // end of the last token, with the white space it took along
	for i := 0; i < len(text); {
		n := a.texts.match(text[i:])
		if n == 0 {
			i++ // tokens begin with whole characters, so none begins inside one
			continue
		}
		start, end := i, i+n
		i = end
		token := a.tokens[text[start:end]]
		if token.special && (special == nil || !special(start, end)) || token.singleWord && (wordBefore(text[:start]) || wordAfter(text[end:])) {
			continue
		}
		if token.lstrip {
			start = len(strings.TrimRightFunc(text[:start], unicode.IsSpace))
		}
		if token.rstrip {
			end = len(text) - len(strings.TrimLeftFunc(text[end:], unicode.IsSpace))
		}
		start = max(start, done)
		end = max(end, start)
		if done < start {
			fn(text[done:start], done, none)
		}
		fn(text[start:end], start, token.id)
		done = end
	}
	if done < len(text) {
		fn(text[done:], done, none)
	}
}

func wordBefore(text string) bool {
	r, n := utf8.DecodeLastRuneInString(text)
	return n > 0 && wordRune(r)
}

func wordAfter(text string) bool {
	r, n := utf8.DecodeRuneInString(text)
	return n > 0 && wordRune(r)
}

// wordRune is \w of regular expressions on Unicode.
func wordRune(r rune) bool {
	return unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic, unicode.Join_Control)
}

// specials appends the texts of the special tokens.
func (a *addedTokens) specials(list []string) []string {
	for text, token := range a.tokens {
		if token.special {
			list = append(list, text)
		}
	}
	return list
}
