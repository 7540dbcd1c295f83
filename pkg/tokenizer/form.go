package tokenizer

import (
	"cmp"
	"slices"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// unicodeForm is a normal form of Unicode. Those with K in their names are not here: tokenizers has tables of an older Unicode for them.
type unicodeForm string

const (
	nfc unicodeForm = "NFC"
	nfd unicodeForm = "NFD"
)

// maxMarks is how many combining marks, or letters of a Korean syllable, in a row x/text leaves as they are. It puts a joiner after so many, as Unicode's stream-safe format
// has it, and tokenizers does not.
const maxMarks = 30

func (f unicodeForm) apply(text string) string {
	form := norm.NFC
	if f == nfd {
		form = norm.NFD
	}
	marks := 0
	for i := 0; i < len(text); {
		if text[i] < utf8.RuneSelf {
			marks = 0
			i++
			continue
		}
		p := form.PropertiesString(text[i:])
		if p.BoundaryBefore() {
			marks = 0
		}
		if i += p.Size(); !p.BoundaryBefore() || p.TrailCCC() > 0 {
			marks += 4 // a character becomes four at most
		}
		if marks > maxMarks {
			return f.byDefinition(text)
		}
	}
	return form.String(text)
}

// byDefinition is apply for any text, slowly: decompose, order marks by their class, compose.
func (f unicodeForm) byDefinition(text string) string {
	class := func(r rune) uint8 { return norm.NFD.PropertiesString(string(r)).CCC() }
	var all []rune
	for _, r := range text {
		all = append(all, []rune(norm.NFD.String(string(r)))...)
	}
	for i := 0; i < len(all); i++ {
		start := i
		for i < len(all) && class(all[i]) > 0 {
			i++
		}
		slices.SortStableFunc(all[start:i], func(a, b rune) int { return cmp.Compare(class(a), class(b)) })
	}
	if f == nfd {
		return string(all)
	}
	out := make([]rune, 0, len(all))
	starter, last := -1, uint8(0) // where the last starter is, and the class of what came after it last
	for _, r := range all {
		k := class(r)
		if starter >= 0 && (len(out) == starter+1 || last < k) {
			if both := []rune(norm.NFC.String(string([]rune{out[starter], r}))); len(both) == 1 {
				out[starter] = both[0]
				continue
			}
		}
		if last = k; k == 0 {
			starter = len(out)
		}
		out = append(out, r)
	}
	return string(out)
}
