package tokenizer

import (
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

// cut calls fn for each token and each text between tokens (token none), from left to right; at is where it starts.
// Unless special is set, special tokens are text, but no other token is found inside them.
func (a *addedTokens) cut(text string, special bool, fn func(part string, at int, token int32)) {
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
		if token.special && !special || token.singleWord && (wordBefore(text[:start]) || wordAfter(text[end:])) {
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
