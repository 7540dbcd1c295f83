package curate

import (
	"math"
	"strings"

	"github.com/tame-rlhf/tame/pkg/setting"
)

// NearDedup finds rows that say nearly the same as one before: of all runs of Words words that occur in either, at least the
// share Threshold occurs in both (their Jaccard similarity). The similarity is estimated by MinHash (Broder 1997): it is the
// share of 120 hash functions whose least value over the runs is the same in both, with a standard error of 0.037 at 0.8. Only
// rows that agree in one of 20 bands of 6 values are compared: at 0.8 that is so for 99.8 % of the pairs, at 0.7 for 92 %.
//
// It keeps about 1 KiB for each row that differs.
type NearDedup struct {
	// Threshold is the similarity from which on rows are near duplicates. Default 0.8.
	Threshold float64
	// Words is the length of the runs of words that are compared. Default 5.
	Words int
	// Of is what is compared: the whole row, or only the prompt or the answers. Default WholeRow.
	Of Extent
	// FoldCase takes upper and lower case for the same. Default false.
	FoldCase bool

	kept   []signature
	newest map[uint64]int32   // the newest kept row with a band's values
	older  [][nearBands]int32 // of each kept row and band: the row before with the same values, or -1
	words  []uint64
}

const (
	nearBands  = 20
	nearRows   = 6 // of a band
	nearHashes = nearBands * nearRows
)

// signature is the least value of each hash function.
type signature [nearHashes]uint32

// DefaultNearDedup compares runs of five words.
func DefaultNearDedup() NearDedup { return NearDedup{Threshold: 0.8, Words: 5} }

// Validate reports everything that is wrong.
func (d *NearDedup) Validate() error {
	check := setting.NewChecks("curate: NearDedup")
	check.That(d.Threshold > 0 && d.Threshold <= 1, "Threshold", d.Threshold, "a similarity in (0, 1]")
	check.AtLeast("Words", d.Words, 1)
	_, err := d.Of.MarshalText()
	check.Nested("Of", err)
	return check.Err()
}

// Seen says whether a row nearly like this one was there before, and remembers it if not.
func (d *NearDedup) Seen(row Row) bool {
	if d.newest == nil {
		d.newest = map[uint64]int32{}
	}
	s := d.signature(row)
	var keys [nearBands]uint64
	for band := range keys {
		keys[band] = scramble(uint64(band))
		for _, least := range s[band*nearRows : (band+1)*nearRows] {
			keys[band] = scramble(keys[band] ^ uint64(least))
		}
	}
	for band, key := range keys {
		at, ok := d.newest[key]
		for ; ok && at >= 0; at = d.older[at][band] {
			if s.similarity(&d.kept[at]) >= d.Threshold {
				return true
			}
		}
	}
	var older [nearBands]int32
	for band, key := range keys {
		before, ok := d.newest[key]
		if !ok {
			before = -1
		}
		older[band], d.newest[key] = before, int32(len(d.kept))
	}
	d.kept, d.older = append(d.kept, s), append(d.older, older)
	return false
}

// similarity estimates the Jaccard similarity.
func (s *signature) similarity(t *signature) float64 {
	same := 0
	for i := range s {
		if s[i] == t[i] {
			same++
		}
	}
	return float64(same) / nearHashes
}

// signature of a row's runs of words. A row with fewer words is one run.
func (d *NearDedup) signature(row Row) (s signature) {
	for i := range s {
		s[i] = math.MaxUint32
	}
	words := d.words[:0]
	for _, text := range d.Of.texts(row, d.FoldCase) {
		for word := range strings.FieldsSeq(text) {
			words = append(words, hashWord(word))
		}
	}
	d.words = words
	for i := 0; i == 0 || i+d.Words <= len(words); i++ {
		run := uint64(0)
		for _, word := range words[i:min(i+d.Words, len(words))] {
			run = scramble(run ^ word)
		}
		// 120 hash functions of two: h1 + i h2 (Kirsch and Mitzenmacher 2006), the high bits of which are used.
		step := scramble(run) | 1
		for k := range s {
			run += step
			s[k] = min(s[k], uint32(scramble(run)>>32))
		}
	}
	return s
}

// hashWord is FNV-1a.
func hashWord(word string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(word) {
		h = (h ^ uint64(word[i])) * 1099511628211
	}
	return h
}

// scramble is a bijection in which every bit depends on every other (the finaliser of SplitMix64).
func scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
