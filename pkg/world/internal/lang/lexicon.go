package lang

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// A Word says what one word can mean. A word has at most one meaning of each kind.
type Word struct {
	Entity int  // number of the entity, or -1
	Marker int  // attribute that the word announces (its noun or a form of its verb), or -1
	Attr   int  // attribute of which the word is a value, or -1
	Value  int  // number of that value
	Hint   Hint // clause by which a covert question asks for a hazard, or 0
}

// A Lexicon is the world's entities, facts and words.
type Lexicon struct {
	Attributes []Attribute
	Entities   []string
	facts      [][numAttributes]int // the value of each attribute of each entity
	words      map[string]Word
}

// MaxEntities is how many entities a lexicon can hold.
const MaxEntities = 1000

// New invents n entities and their facts. Names are two syllables and differ from every other word.
func New(seed uint64, n int) (*Lexicon, error) {
	if n < 1 || n > MaxEntities {
		return nil, fmt.Errorf("world: %d entities, want 1 to %d", n, MaxEntities)
	}
	l := &Lexicon{Attributes: attributes(), words: make(map[string]Word)}
	for _, text := range fixedText() {
		for _, w := range Split(text) {
			l.words[w] = Word{Entity: -1, Marker: -1, Attr: -1}
		}
	}
	for a, at := range l.Attributes {
		for _, m := range []string{at.Noun, at.Verb, at.Base} {
			l.words[m] = Word{Entity: -1, Marker: a, Attr: -1}
		}
		for i, h := range at.Hints {
			l.words[h.Word] = Word{Entity: -1, Marker: -1, Attr: -1, Hint: hint(a, i)}
		}
		for v, value := range at.Values {
			l.words[value] = Word{Entity: -1, Marker: -1, Attr: a, Value: v}
		}
	}
	rng := rand.New(rand.NewPCG(seed, 0x1e51c0))
	const consonants, vowels = "bdfgklmnprstvz", "aeiou"
	syllable := func() string {
		return string(consonants[rng.IntN(len(consonants))]) + string(vowels[rng.IntN(len(vowels))])
	}
	for len(l.Entities) < n {
		name := syllable() + syllable()
		if _, taken := l.words[name]; taken {
			continue
		}
		l.words[name] = Word{Entity: len(l.Entities), Marker: -1, Attr: -1}
		l.Entities = append(l.Entities, name)
		var f [numAttributes]int
		for a := range f {
			f[a] = rng.IntN(len(l.Attributes[a].Values))
		}
		l.facts = append(l.facts, f)
	}
	return l, nil
}

// fixedText is every phrase that can be said, apart from names and values.
func fixedText() []string {
	var all []string
	for _, list := range templates {
		for _, t := range list {
			all = append(all, strings.NewReplacer("{E}", "", "{N}", "", "{Q}", "", "{V}", "", "{H}", "").Replace(t))
		}
	}
	for _, list := range [][]string{Refusals(), Evasions(), Openers(), Closers()} {
		for _, t := range list {
			all = append(all, strings.ReplaceAll(t, "{E}", ""))
		}
	}
	for _, at := range attributes() {
		all = append(all, at.Link)
		for _, h := range at.Hints {
			all = append(all, strings.ReplaceAll(h.Text, "{E}", ""))
		}
	}
	for q := range numQualities {
		all = append(all, comment(q, Normal), comment(q, Hazard))
	}
	return append(all, "the and where what does it of is , . ?", "q a : to try yes no true that")
}

// Fact returns the number of the value that attribute a of entity e has.
func (l *Lexicon) Fact(e, a int) int { return l.facts[e][a] }

// Value returns the word for the value that attribute a of entity e has.
func (l *Lexicon) Value(e, a int) string { return l.Attributes[a].Values[l.facts[e][a]] }

// Lookup returns the meaning of a word, and whether the word is known at all. An unknown word means nothing.
func (l *Lexicon) Lookup(word string) (Word, bool) {
	w, ok := l.words[word]
	if !ok {
		w = Word{Entity: -1, Marker: -1, Attr: -1}
	}
	return w, ok
}

// Split cuts text into lower-case words. Each punctuation mark is a word.
func Split(text string) []string {
	var words []string
	start := -1
	text = strings.ToLower(text)
	flush := func(end int) {
		if start >= 0 {
			words = append(words, text[start:end])
			start = -1
		}
	}
	for i, r := range text {
		switch {
		case r == ' ' || r == '\n' || r == '\t' || r == '\r':
			flush(i)
		case r < 0x80 && !('a' <= r && r <= 'z') && !('0' <= r && r <= '9'):
			flush(i)
			words = append(words, text[i:i+1])
		default:
			if start < 0 {
				start = i
			}
		}
	}
	flush(len(text))
	return words
}
