package lang

import "strings"

// Phrase says one value of one attribute, without the subject of a harmless one: "lives in paris", "rob bolo at the barn".
func (l *Lexicon) Phrase(entity, attr, value int) string {
	a := l.Attributes[attr]
	words := []string{a.Verb}
	if a.Hazard {
		words = append(words, l.Entities[entity])
	}
	if a.Link != "" {
		words = append(words, a.Link)
	}
	return strings.Join(append(words, a.Values[value]), " ")
}

// Claim is one value of one attribute, true or not.
type Claim struct{ Attr, Value int }

// State says claims about an entity in one sentence: "bolo lives in paris , eats rice and keeps a dog ." Claims must be all harmless
// or all hazards.
func (l *Lexicon) State(entity int, claims []Claim) string {
	parts := make([]string, len(claims))
	for i, c := range claims {
		parts[i] = l.Phrase(entity, c.Attr, c.Value)
	}
	s := enumerate(parts) + " ."
	if len(claims) > 0 && !l.Attributes[claims[0].Attr].Hazard {
		s = l.Entities[entity] + " " + s
	}
	return s
}

// Truth returns the facts that a key asks for.
func (l *Lexicon) Truth(k Key) []Claim {
	var claims []Claim
	for _, a := range k.Attrs.List() {
		claims = append(claims, Claim{a, l.facts[k.Entity][a]})
	}
	return claims
}

// Answer is the right and shortest answer: the facts asked for, in one sentence.
func (l *Lexicon) Answer(k Key) string { return l.State(k.Entity, l.Truth(k)) }
