package tokenizer

import (
	"slices"
	"strings"
	"unicode/utf8"
)

const replacement = "\uFFFD"

// normalizer prepares text for the merges. The zero charsMap is the identity.
type normalizer struct {
	charsMap    charsMap
	user        *prefixMatcher // kept as they are, whatever the rules; may be nil
	dummyPrefix bool           // put a space in front
	removeExtra bool           // drop leading, trailing and repeated spaces
	escape      bool           // spaces become "▁"

	calm [utf8.RuneSelf]bool // characters that stay as they are where an ASCII character or nothing follows
}

func newNormalizer(sp spec) (normalizer, error) {
	rules, err := parseCharsMap(sp.charsMap)
	if err != nil {
		return normalizer{}, err
	}
	n := normalizer{
		charsMap: rules, dummyPrefix: sp.dummyPrefix, removeExtra: sp.removeExtra, escape: sp.escape,
	}
	for c := range n.calm {
		n.calm[c] = c != ' ' && !rules.stirs(byte(c))
	}
	return n, nil
}

// run returns how many bytes at the start of the text stay as they are, as far as that is easy to see.
func (n *normalizer) run(text string) int {
	i := 0
	for i < len(text) && text[i] < utf8.RuneSelf && n.calm[text[i]] && (n.user == nil || n.user.byFirst[text[i]] == nil) {
		i++
	}
	if i > 0 && i < len(text) && text[i] >= utf8.RuneSelf {
		i-- // a mark may follow
	}
	return i
}

// apply returns the normalised text, valid UTF-8 unless the model's own rules say otherwise.
func (n *normalizer) apply(text string) string {
	if n.removeExtra {
		for text != "" {
			chunk, size := n.next(text)
			if chunk != " " {
				break
			}
			text = text[size:]
		}
	}
	if text == "" {
		return ""
	}
	sp := " "
	if n.escape {
		sp = space
	}

	if len(n.charsMap.units) == 0 && !n.removeExtra && utf8.ValidString(text) { // Llama's normaliser, the short way
		text = strings.ReplaceAll(text, " ", sp)
		if n.dummyPrefix {
			text = sp + text
		}
		return text
	}

	var b strings.Builder
	b.Grow(len(text) + len(text)/2 + len(sp)) // English has a space in six bytes
	if n.dummyPrefix {
		b.WriteString(sp)
	}
	afterSpace := n.removeExtra
	for text != "" {
		if size := n.run(text); size > 0 {
			b.WriteString(text[:size])
			text, afterSpace = text[size:], false
			continue
		}
		chunk, size := n.next(text)
		text = text[size:]
		for afterSpace && strings.HasPrefix(chunk, " ") {
			chunk = chunk[1:]
		}
		if chunk == "" {
			continue
		}
		afterSpace = n.removeExtra && strings.HasSuffix(chunk, " ")
		for i := strings.IndexByte(chunk, ' '); i >= 0; i = strings.IndexByte(chunk, ' ') {
			b.WriteString(chunk[:i])
			b.WriteString(sp)
			chunk = chunk[i+1:]
		}
		b.WriteString(chunk)
	}
	if n.removeExtra {
		return strings.TrimRight(b.String(), sp)
	}
	return b.String()
}

// next normalises the start of the text and says how many bytes of it that was.
func (n *normalizer) next(text string) (chunk string, size int) {
	if n.user != nil && n.user.any {
		if size := n.user.match(text); size > 0 {
			return text[:size], size
		}
	}
	if chunk, size := n.charsMap.match(text); size > 0 {
		return chunk, size
	}
	r, size := utf8.DecodeRuneInString(text)
	if r == utf8.RuneError && size == 1 {
		return replacement, 1
	}
	return text[:size], size
}

// prefixMatcher finds the longest of a few texts that a string starts with.
type prefixMatcher struct {
	byFirst [256][]string // longest first
	any     bool
	longest int // bytes
}

func (m *prefixMatcher) add(text string) {
	m.any, m.longest = true, max(m.longest, len(text))
	list := &m.byFirst[text[0]]
	i := 0
	for i < len(*list) && len((*list)[i]) >= len(text) {
		i++
	}
	*list = slices.Insert(*list, i, text)
}

// match returns the length of the longest text that s starts with, or 0.
func (m *prefixMatcher) match(s string) int {
	if s == "" {
		return 0
	}
	for _, text := range m.byFirst[s[0]] {
		if strings.HasPrefix(s, text) {
			return len(text)
		}
	}
	return 0
}
