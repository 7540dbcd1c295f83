package tokenizer

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// hugging is what a tokenizer.json says besides its vocabulary. Text goes through it in this order: added tokens are cut
// out, what is between them is normalised, added tokens that ask for it are cut out of that, spaces are marked, pairs
// merge.
type hugging struct {
	raw  []byte       // the file, written back as it was; nil if there was none
	file *huggingFile // its parts

	normalizer []replacementRule
	metaspace  *metaspace       // nil if the normaliser marks the spaces
	bytes      *byteLevel       // nil if characters merge, and not bytes
	added      addedTokens      // cut out of the text as it is
	normalized addedTokens      // cut out of normalised text
	decoder    huggingDecode    // for Stream
	shown      map[int32]string // what added tokens that are cut out of normalised text decode to

	vocab      map[string]int32 // of the model, where added tokens need not be
	unk        int32            // none if there is none, which only byte-level BPE can do without
	unkSpecial bool             // the unknown piece decodes to nothing
	fuseUnk    bool             // a run of unknown characters is one unknown piece

	ignoreMerges bool // a piece of the text that is a token is taken for it at once

	names [3]string // of BOS, EOS and PAD
	named []string  // those of them that tokenizer_config.json names

	addBOS, addEOS bool // the post-processor puts them around a text
}

// replacementRule is one step of a normaliser.
type replacementRule struct {
	prepend  string      // in front of a text that is not empty
	from, to string      // if prepend is empty
	only     []string    // drop the prefix from where it stands before exactly one of these texts
	form     unicodeForm // not empty: what the text becomes
	bytes    bool        // write bytes as byteChars
}

// metaspace marks spaces after normalisation. Unlike the dummy prefix, its prefix is left out where there is one already.
type metaspace struct {
	prefix prefixScheme
	split  bool // merges never go across the start of a word
}

// prefixScheme is how tokenizer.json names where the prefix goes.
type prefixScheme string

const (
	prefixAlways prefixScheme = "always" // every part of the text between added tokens
	prefixFirst  prefixScheme = "first"  // only where the text begins
	prefixNever  prefixScheme = "never"
)

// huggingDecode says how pieces become text.
type huggingDecode struct {
	spaces    bool // "▁" is a space
	bytes     bool // <0x0A> is a byte
	byteLevel bool // characters are byteChars
	dropFirst bool // in the first piece "▁" is nothing
	strip     int  // so many spaces are dropped at the start of the text
}

// encode appends the ids of text. Special tokens mean themselves where they are allowed. Those that are cut out of normalised text, of which no model
// of today has any, do so in parts of the text in which all are allowed.
func (h *hugging) encode(m *merger, text string, special allowed) {
	if !utf8.ValidString(text) {
		text = string([]rune(text)) // U+FFFD for each byte that is wrong
	}
	h.added.cut(text, special, func(part string, at int, token int32) {
		if token != none {
			m.take(token)
			return
		}
		within := special
		if special != nil && !special(at, at+len(part)) {
			within = nil
		}
		for _, rule := range h.normalizer {
			part = rule.apply(part)
		}
		h.normalized.cut(part, within, func(part string, start int, token int32) {
			if token != none {
				m.take(token)
				return
			}
			h.encodePart(m, part, at == 0 && start == 0)
		})
	})
}

// encodePart encodes what is between added tokens.
func (h *hugging) encodePart(m *merger, text string, first bool) {
	if text == "" {
		return
	}
	if h.bytes != nil {
		h.bytes.split.Split(text, m.word)
		return
	}
	split := false
	if s := h.metaspace; s != nil {
		text = strings.ReplaceAll(text, " ", space)
		if (s.prefix == prefixAlways || s.prefix == prefixFirst && first) && !strings.HasPrefix(text, space) {
			text = space + text
		}
		split = s.split
	}
	if !split {
		m.words(text)
		return
	}
	for text != "" {
		n := len(text)
		if next := strings.Index(text[1:], space); next >= 0 {
			n = 1 + next
		}
		m.word(text[:n])
		text = text[n:]
	}
}

// cut makes the first symbols: characters, for those without a piece their bytes, or the unknown piece.
func (h *hugging) cut(m *merger, text string) {
	if h.bytes != nil && !h.bytes.mapped {
		h.bytes.cut(m, text)
		return
	}
	t := m.t
	unknown := false // the last symbol is the unknown piece
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		switch id := t.chars.find(r); {
		case id != none:
			m.symbols = append(m.symbols, symbol{id, i})
			unknown = false
		case t.spec.byteFallback:
			for k := i; k < i+n; k++ {
				m.symbols = append(m.symbols, symbol{t.bytes[text[k]], k})
			}
		case unknown && h.fuseUnk || h.unk == none:
		default:
			m.symbols = append(m.symbols, symbol{h.unk, i})
			unknown = true
		}
		i += n
	}
}

func (r replacementRule) apply(text string) string {
	switch {
	case r.only != nil:
		if rest, ok := strings.CutPrefix(text, space); ok && slices.Contains(r.only, rest) {
			return rest
		}
		return text
	case r.form != "":
		return r.form.apply(text)
	case r.bytes:
		return toByteChars(text)
	case r.prepend != "":
		if text == "" {
			return ""
		}
		return r.prepend + text
	}
	return strings.ReplaceAll(text, r.from, r.to)
}
