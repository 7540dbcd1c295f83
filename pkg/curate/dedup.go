package curate

import (
	"crypto/sha256"
	"strings"
)

// Dedup finds rows that say the same as one before: the same words by the same speakers. White space does not count, nor
// do ratings, sources and scores. It keeps 16 bytes of a hash for each row that differs.
type Dedup struct {
	// Of is what has to be the same: the whole row, or only the prompt or the answers.
	Of Extent
	// FoldCase takes upper and lower case for the same.
	FoldCase bool

	seen map[[16]byte]struct{}
	buf  []byte
}

// Seen says whether a row like this one was there before, and remembers it.
func (d *Dedup) Seen(row Row) bool {
	if d.seen == nil {
		d.seen = map[[16]byte]struct{}{}
	}
	b := d.buf[:0]
	for role, text := range d.Of.texts(row, d.FoldCase) {
		b = append(b, byte(role))
		for word := range strings.FieldsSeq(text) {
			b = append(append(b, word...), ' ')
		}
		b = append(b, '\n') // no word has one
	}
	sum := sha256.Sum256(b)
	key := [16]byte(sum[:16])
	_, seen := d.seen[key]
	d.seen[key], d.buf = struct{}{}, b
	return seen
}
