package tokenizer

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tame-rlhf/tame/pkg/tokenizer/internal/pretoken"
)

// byteChars are the characters that stand for the 256 bytes in the pieces of byte-level BPE, as GPT-2 has them: a printable one of Latin-1
// for itself, and for the others those from U+0100 on, in their order. A space is "Ġ".
var byteChars, charBytes = func() (chars [256]rune, back map[rune]byte) {
	back = make(map[rune]byte, len(chars))
	next := rune(0x100)
	for b := range chars {
		chars[b] = rune(b)
		if b < '!' || b > '~' && b < 0xA1 || b == 0xAD {
			chars[b] = next
			next++
		}
		back[chars[b]] = byte(b)
	}
	return chars, back
}()

// toByteChars writes a text in the characters of byte-level BPE.
func toByteChars(text string) string {
	var b strings.Builder
	for i := range len(text) {
		b.WriteRune(byteChars[text[i]])
	}
	return b.String()
}

// fromByteChars is toByteChars backwards; false if a character stands for no byte.
func fromByteChars(piece string) (string, bool) {
	b := make([]byte, 0, len(piece))
	for _, r := range piece {
		c, ok := charBytes[r]
		if !ok {
			return "", false
		}
		b = append(b, c)
	}
	return string(b), true
}

// byteLevel is what byte-level BPE has besides other BPE of a tokenizer.json: text is cut into pieces by patterns, and inside of each piece
// bytes merge.
type byteLevel struct {
	split pretoken.Chain
	ids   [256]int32       // of each byte, none if the vocabulary lacks it
	whole map[string]int32 // with ignore_merges: tokens that a piece becomes at once
	texts []string         // bytes of each id

	mapped bool // the normalizer, and not the pre-tokenizer, writes text in byteChars: patterns and merges see these
}

// maxSteps is how many steps a pre-tokenizer may have. Those in use have up to five.
const maxSteps = 64

// splitters makes what cuts the text of the steps of a pre-tokenizer, ByteLevel last.
func splitters(steps []huggingPart) (chain pretoken.Chain, err error) {
	if len(steps) > maxSteps {
		return nil, fmt.Errorf("the pre_tokenizer has %d steps, the limit is %d", len(steps), maxSteps)
	}
	for i, p := range steps {
		switch p.Type {
		case "Split":
			s, err := p.splitter()
			if err != nil {
				return nil, fmt.Errorf("the pre_tokenizer is Split: %w", err)
			}
			chain = append(chain, s)
		case "Digits":
			chain = append(chain, pretoken.NewDigits(p.IndividualDigits))
		case "ByteLevel":
			if i < len(steps)-1 {
				return nil, fmt.Errorf("the pre_tokenizer is %s after ByteLevel%s", steps[i+1].Type, otherKinds)
			}
			if p.AddPrefixSpace != nil && *p.AddPrefixSpace {
				chain = append(chain, pretoken.Prefix{})
			}
			if p.UseRegex == nil || *p.UseRegex {
				chain = append(chain, pretoken.Scanner(pretoken.GPT2))
			}
		default:
			return nil, fmt.Errorf("the pre_tokenizer is %s with ByteLevel%s", p.Type, otherKinds)
		}
	}
	return chain, nil
}

func (p *huggingPart) splitter() (pretoken.Splitter, error) {
	behavior := pretoken.Behavior(p.Behavior)
	switch {
	case p.Pattern.Regex != nil:
		return pretoken.NewSplit(*p.Pattern.Regex, behavior, p.Invert)
	case p.Pattern.String != nil && *p.Pattern.String != "":
		return pretoken.NewLiteral(*p.Pattern.String, behavior, p.Invert)
	}
	return nil, errors.New("the pattern is missing")
}

// checkModel refuses what of a model has no meaning over bytes.
func (b *byteLevel) checkModel(m *huggingModel) error {
	if !m.ByteFallback {
		return nil
	}
	for c, r := range byteChars {
		if _, ok := m.Vocab[string(r)]; !ok {
			return fmt.Errorf("model: byte_fallback is true, but the vocabulary lacks the byte 0x%02X of ByteLevel%s", c, otherKinds)
		}
	}
	m.ByteFallback = false // every byte has a token, so nothing is left to fall back
	return nil
}

// build makes the tables of the pieces. Control pieces never come from text.
func (b *byteLevel) build(t *Tokenizer) {
	h := t.hugging
	for c, r := range byteChars {
		b.ids[c] = none
		if id, ok := h.vocab[string(r)]; ok && t.pieces[id].Type != Control {
			b.ids[c] = id
		}
	}
	if h.ignoreMerges {
		b.whole = make(map[string]int32, len(h.vocab))
		for text, id := range h.vocab {
			if t.pieces[id].Type == Control || t.pieces[id].Type == Unused {
				continue
			}
			if raw, ok := fromByteChars(text); b.mapped {
				b.whole[text] = id
			} else if ok {
				b.whole[raw] = id
			}
		}
	}
	b.texts = make([]string, len(t.pieces))
	for id, p := range t.pieces {
		text := p.Text
		if shown, ok := h.shown[int32(id)]; ok {
			text = shown
		}
		if raw, ok := fromByteChars(text); ok {
			text = raw
		}
		b.texts[id] = text
	}
}

// cut makes the first symbols: bytes. One without a piece becomes the unknown piece, or nothing where there is none, as in Hugging Face's
// library and llama.cpp.
func (b *byteLevel) cut(m *merger, text string) {
	h := m.t.hugging
	unknown := false
	for i := range len(text) {
		switch id := b.ids[text[i]]; {
		case id != none:
			m.symbols = append(m.symbols, symbol{id, i})
			unknown = false
		case h.unk != none && !(unknown && h.fuseUnk):
			m.symbols = append(m.symbols, symbol{h.unk, i})
			unknown = true
		}
	}
}

// lossy takes the text off the front of bytes that no further bytes can change, or all of it. A part that is not UTF-8 becomes one U+FFFD if
// it could be the start of a character, else one for each byte, as in Rust and in browsers.
func lossy(raw []byte, all bool) (text string, rest []byte) {
	if utf8.Valid(raw) {
		return string(raw), nil
	}
	var b strings.Builder
	for len(raw) > 0 && (all || utf8.FullRune(raw)) {
		r, n := utf8.DecodeRune(raw)
		if r == utf8.RuneError && n == 1 && !utf8.FullRune(raw[:1]) {
			for n < len(raw) && !utf8.FullRune(raw[:n+1]) {
				n++
			}
		}
		b.WriteRune(r)
		raw = raw[n:]
	}
	return b.String(), bytes.Clone(raw)
}

// isByteLevel says whether one of the parts is ByteLevel.
func isByteLevel(steps []huggingPart) bool {
	return slices.ContainsFunc(steps, func(p huggingPart) bool { return p.Type == "ByteLevel" })
}
