package curate

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
)

// Split holds out about that fraction of rows, chosen by a hash of the seed and of the words that the row asks: rows with
// the same question, white space aside, always lie on the same side, in whatever file, order or number they come. Order is
// kept.
func Split[T interface{ Question() string }](rows []T, fraction float64, seed uint64) (train, heldOut []T, err error) {
	if !(fraction >= 0 && fraction <= 1) {
		return nil, nil, fmt.Errorf("curate: split: cannot hold out a fraction of %v, want 0 to 1", fraction)
	}
	for _, row := range rows {
		if HeldOut(row.Question(), fraction, seed) {
			heldOut = append(heldOut, row)
		} else {
			train = append(train, row)
		}
	}
	return train, heldOut, nil
}

// HeldOut says on which side of a Split the rows with a question lie.
func HeldOut(question string, fraction float64, seed uint64) bool {
	words := binary.LittleEndian.AppendUint64(make([]byte, 0, 8+len(question)+1), seed)
	for word := range strings.FieldsSeq(question) {
		words = append(append(words, word...), ' ')
	}
	if len(words) > 8 {
		words = words[:len(words)-1] // between words only
	}
	h := sha256.Sum256(words)
	// 53 bits make a float64 in [0, 1) exactly.
	return float64(binary.LittleEndian.Uint64(h[:])>>11)/(1<<53) < fraction
}
