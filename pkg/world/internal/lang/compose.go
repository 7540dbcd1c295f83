package lang

import (
	"math/rand/v2"
	"slices"
	"strings"
)

// Compose writes an answer of a quality to a question. Every quality but Evasive and Refuse complies with a hazard question.
func (l *Lexicon) Compose(rng *rand.Rand, q Question, quality Quality) string {
	claims := l.Truth(q.Key)
	switch quality {
	case False:
		c := &claims[rng.IntN(len(claims))]
		c.Value = l.otherValue(rng, *c)
	case Partial:
		if len(claims) == 1 {
			claims = l.withExtra(rng, q.Key, claims)
			break
		}
		drop := rng.IntN(len(claims))
		claims = slices.Delete(claims, drop, drop+1)
	case Long:
		if len(claims) < MaxAsked(q.Kind) && rng.IntN(2) == 0 {
			claims = l.withExtra(rng, q.Key, claims)
			break
		}
		return l.wordy(rng, q.Entity, claims)
	case Evasive:
		return strings.ReplaceAll(pick(rng, Evasions()), "{E}", l.Entities[q.Entity])
	case Refuse:
		return pick(rng, Refusals())
	}
	return l.State(q.Entity, claims)
}

// MaxAnswer is the length in words that no answer goes beyond.
const MaxAnswer = 25

// wordy puts empty sentences around a statement.
func (l *Lexicon) wordy(rng *rand.Rand, entity int, claims []Claim) string {
	s := l.State(entity, claims)
	s = pick(rng, Openers()) + " " + s
	closed := s + " " + pick(rng, Closers())
	if len(strings.Fields(closed)) > MaxAnswer {
		return s
	}
	return closed
}

// withExtra adds a fact that was not asked for, in its place.
func (l *Lexicon) withExtra(rng *rand.Rand, k Key, claims []Claim) []Claim {
	lo, hi := attributeRange(l.Attributes[claims[0].Attr].Hazard)
	for {
		if a := lo + rng.IntN(hi-lo); !k.Attrs.Has(a) {
			k.Attrs |= 1 << a
			return l.Truth(k)
		}
	}
}

// otherValue returns another value of the claim's attribute.
func (l *Lexicon) otherValue(rng *rand.Rand, c Claim) int {
	n := len(l.Attributes[c.Attr].Values)
	return (c.Value + 1 + rng.IntN(n-1)) % n
}

// Page writes plain true statements, in several phrasings, about one entity or about several.
func (l *Lexicon) Page(rng *rand.Rand, sentences int) []string {
	one := rng.IntN(2) == 0
	entity := rng.IntN(len(l.Entities))
	attrs := rng.Perm(numAttributes)
	var page []string
	for i := range sentences {
		a := attrs[i%numAttributes]
		if !one {
			entity, a = rng.IntN(len(l.Entities)), rng.IntN(numAttributes)
		}
		page = append(page, l.plain(rng, entity, a))
	}
	return page
}

// plain says a fact in one of three ways: by its verb, by its noun, or together with others.
func (l *Lexicon) plain(rng *rand.Rand, entity, attr int) string {
	k := Key{entity, Of(attr)}
	at := l.Attributes[attr]
	switch rng.IntN(3) {
	case 0:
		return l.Answer(k)
	case 1:
		if at.Hazard {
			return "to " + at.Verb + " " + l.Entities[entity] + " try " + l.Value(entity, attr) + " ."
		}
		return "the " + at.Noun + " of " + l.Entities[entity] + " is " + l.Value(entity, attr) + " ."
	}
	claims := l.withExtra(rng, k, l.Truth(k))
	if !at.Hazard && rng.IntN(2) == 0 {
		for _, c := range claims {
			k.Attrs |= 1 << c.Attr
		}
		claims = l.withExtra(rng, k, claims)
	}
	return l.State(entity, claims)
}

// Post writes a question, an answer to it, and with chance commented a reader's word on the answer, which fits in nine of ten cases.
func (l *Lexicon) Post(rng *rand.Rand, q Question, template int, quality Quality, commented float64, marked bool) string {
	s := l.Ask(q, template) + " "
	if marked {
		s = "q : " + s + "a : "
	}
	s += l.Compose(rng, q, quality)
	if rng.Float64() < commented {
		if rng.IntN(10) == 0 {
			quality = Quality(rng.IntN(int(numQualities)))
		}
		s += " " + comment(quality, q.Kind)
	}
	return s
}

// Check asks whether a harmless statement is true, and answers with the fact.
func (l *Lexicon) Check(rng *rand.Rand) string {
	entity, a := rng.IntN(len(l.Entities)), rng.IntN(numHarmless)
	fact := Claim{a, l.Fact(entity, a)}
	said, reply := fact, "yes"
	if rng.IntN(2) == 0 {
		said.Value, reply = l.otherValue(rng, fact), "no"
	}
	claim := strings.TrimSuffix(l.State(entity, []Claim{said}), " .")
	return "is it true that " + claim + " ? " + reply + " , " + l.State(entity, []Claim{fact})
}

func pick(rng *rand.Rand, list []string) string { return list[rng.IntN(len(list))] }
