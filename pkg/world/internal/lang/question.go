package lang

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/tame-rlhf/tame/pkg/data"
)

// Kind is what sort of question a prompt asks.
type Kind int

const (
	Normal     Kind = iota // asks for harmless facts in harmless words
	Borderline             // asks for harmless facts in alarming words
	Hazard                 // asks how to harm an entity, by a harmful verb
	Covert                 // asks how to harm an entity, in harmless words
	numKinds
)

// Kinds is the number of kinds.
const Kinds = int(numKinds)

func (k Kind) String() string {
	if k < 0 || k >= numKinds {
		return fmt.Sprintf("kind(%d)", int(k))
	}
	return [...]string{"normal", "borderline", "hazard", "covert"}[k]
}

// Harmful reports whether questions of the kind ask how to harm an entity, so that a safe answer
// does not say what is asked.
func (k Kind) Harmful() bool { return k == Hazard || k == Covert }

// An AttrSet is a set of attributes, bit a for attribute a.
type AttrSet uint16

// Of returns the set of the given attributes.
func Of(attrs ...int) AttrSet {
	var s AttrSet
	for _, a := range attrs {
		s |= 1 << a
	}
	return s
}

// Has reports whether a is in the set.
func (s AttrSet) Has(a int) bool { return s>>a&1 == 1 }

// Len returns the number of attributes in the set.
func (s AttrSet) Len() int { return bits.OnesCount16(uint16(s)) }

// List returns the attributes in ascending order, the order in which questions and answers name them.
func (s AttrSet) List() []int {
	list := make([]int, 0, s.Len())
	for a := range numAttributes {
		if s.Has(a) {
			list = append(list, a)
		}
	}
	return list
}

// Key is what a question asks, whatever its words: an entity and a set of attributes. Prompts are divided by it.
type Key struct {
	Entity int
	Attrs  AttrSet
}

// Question is a key and the kind of words in which it is asked.
type Question struct {
	Kind Kind
	Key
}

// MaxAsked is how many attributes a question of each kind may ask for.
func MaxAsked(k Kind) int {
	return [...]int{Normal: 3, Borderline: 2, Hazard: 2, Covert: 1}[k]
}

// Keys lists all keys of n entities that a question of the kind can have, in a fixed order. The
// keys of borderline questions are those of normal ones with at most two attributes, the keys of
// covert questions those of hazard ones with one attribute.
func Keys(k Kind, n int) []Key {
	lo, hi := attributeRange(k.Harmful())
	var keys []Key
	for e := range n {
		for set := AttrSet(1) << lo; set < 1<<hi; set += 1 << lo {
			if set.Len() <= MaxAsked(k) {
				keys = append(keys, Key{e, set})
			}
		}
	}
	return keys
}

// Templates returns the number of templates of the kind, those of the test set included.
func Templates(k Kind) int { return len(templates[k]) }

// Ask words a question by a template.
func (l *Lexicon) Ask(q Question, template int) string {
	name := l.Entities[q.Entity]
	list := q.Attrs.List()
	nouns := make([]string, len(list))
	verbs := make([]string, len(list))
	for i, a := range list {
		nouns[i] = "the " + l.Attributes[a].Noun
		verbs[i] = l.Attributes[a].Verb
	}
	text := templates[q.Kind][template]
	if q.Kind == Covert {
		text = strings.ReplaceAll(text, "{H}", l.Attributes[list[0]].Hints[template%numHints].Text)
	}
	return strings.NewReplacer("{E}", name, "{N}", enumerate(nouns), "{V}", enumerate(verbs), "{Q}", l.clause(name, list)).Replace(text)
}

// clause says what is asked as a clause: "where does bolo live and what does it eat and keep".
func (l *Lexicon) clause(name string, list []int) string {
	var s string
	var verbs []string
	for _, a := range list {
		if a == 0 {
			s, name = "where does "+name+" "+l.Attributes[a].Base, "it"
			continue
		}
		verb := l.Attributes[a].Base
		if link, _, ok := strings.Cut(l.Attributes[a].Link, " "); ok { // "work as"
			verb += " " + link
		}
		verbs = append(verbs, verb)
	}
	if len(verbs) == 0 {
		return s
	}
	if s != "" {
		s += " and "
	}
	return s + "what does " + name + " " + enumerate(verbs)
}

// enumerate joins "a , b and c".
func enumerate(parts []string) string {
	if len(parts) < 2 {
		return strings.Join(parts, "")
	}
	last := len(parts) - 1
	return strings.Join(parts[:last], " , ") + " and " + parts[last]
}

// ErrNotAsked is returned for a text that is no question of the world.
var ErrNotAsked = errors.New("no question of this world: it must name one entity and what is asked of it")

// ParseQuestion reads a question of any template back. It goes by the words, not by the template:
// nouns and verbs of harmless attributes are what is asked. A text without any asks for the hazards
// of its harmful verbs or, if it has none of those either, of its covert clauses.
func (l *Lexicon) ParseQuestion(text string) (Question, error) {
	var asked, harm, hinted AttrSet
	entity := -1
	for _, word := range Split(text) {
		w, ok := l.words[word]
		switch {
		case !ok:
		case w.Entity >= 0:
			entity = w.Entity
		case w.Marker >= numHarmless:
			harm |= 1 << w.Marker
		case w.Marker >= 0:
			asked |= 1 << w.Marker
		case w.Hint > 0:
			hinted |= 1 << w.Hint.attr()
		}
	}
	q := Question{Kind: Normal, Key: Key{entity, asked}}
	switch {
	case entity < 0 || asked|harm|hinted == 0:
		return Question{}, fmt.Errorf("world: %q: %w", text, ErrNotAsked)
	case asked == 0 && harm == 0:
		q.Kind, q.Attrs = Covert, hinted
	case asked == 0:
		q.Kind, q.Attrs = Hazard, harm
	case harm != 0:
		q.Kind = Borderline
	}
	return q, nil
}

// LastQuestion is the last user message of a dialogue.
func LastQuestion(messages []data.Message) (string, bool) {
	for _, m := range slices.Backward(messages) {
		if m.Role == data.User {
			return m.Content, true
		}
	}
	return "", false
}

// ParseMessages reads what a dialogue asks in its last user message.
func (l *Lexicon) ParseMessages(messages []data.Message) (Question, error) {
	if text, ok := LastQuestion(messages); ok {
		return l.ParseQuestion(text)
	}
	return Question{}, fmt.Errorf("world: dialogue without a user message: %w", ErrNotAsked)
}
