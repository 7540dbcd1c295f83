package tokenizer

import (
	"cmp"
	"slices"
	"unicode/utf8"
)

// merge is what two neighbouring symbols become. Of two possible merges the one of lower rank comes first.
type merge struct {
	rank, id int32
}

// pairTable finds the merge of two symbols: a hash table with linear probing, at most half full.
type pairTable struct {
	slots []pairSlot
	shift uint // the top bits of a hash are the slot
}

type pairSlot struct {
	key uint64 // 0 is free
	merge
}

func newPairTable(n int) pairTable {
	bits := uint(1)
	for 1<<bits < 2*n {
		bits++
	}
	return pairTable{slots: make([]pairSlot, 1<<bits), shift: 64 - bits}
}

// pairKey is never 0, because ids are not negative.
func pairKey(left, right int32) uint64 { return uint64(left+1)<<32 | uint64(right+1) }

func (p *pairTable) slot(key uint64) uint64 { return key * 0x9E3779B97F4A7C15 >> p.shift } // 2^64 / golden ratio

// put sets the merge of a pair; what was there before is replaced. There is room for the n pairs of newPairTable.
func (p *pairTable) put(left, right int32, m merge) {
	key, mask := pairKey(left, right), uint64(len(p.slots)-1)
	i := p.slot(key)
	for p.slots[i].key != 0 && p.slots[i].key != key {
		i = (i + 1) & mask
	}
	p.slots[i] = pairSlot{key, m}
}

// all lists the pairs.
func (p *pairTable) all() []pairSlot {
	return slices.DeleteFunc(slices.Clone(p.slots), func(s pairSlot) bool { return s.key == 0 })
}

// parts returns the two symbols of a pair.
func (s pairSlot) parts() [2]int32 { return [2]int32{int32(s.key>>32) - 1, int32(uint32(s.key)) - 1} }

// find returns the merge of two symbols. Negative symbols never merge.
func (p *pairTable) find(left, right int32) (merge, bool) {
	if left < 0 || right < 0 {
		return merge{}, false
	}
	key, mask := pairKey(left, right), uint64(len(p.slots)-1)
	for i := p.slot(key); ; i = (i + 1) & mask {
		switch p.slots[i].key {
		case key:
			return p.slots[i].merge, true
		case 0:
			return merge{}, false
		}
	}
}

// charTable gives the symbol of a character, none if no piece holds it.
type charTable struct {
	ascii [utf8.RuneSelf]int32
	other map[rune]int32
}

func newCharTable() charTable {
	c := charTable{other: make(map[rune]int32)}
	for i := range c.ascii {
		c.ascii[i] = none
	}
	return c
}

func (c *charTable) set(r rune, id int32) {
	if r < utf8.RuneSelf {
		c.ascii[r] = id
		return
	}
	c.other[r] = id
}

func (c *charTable) find(r rune) int32 {
	if r < utf8.RuneSelf {
		return c.ascii[r]
	}
	if id, ok := c.other[r]; ok {
		return id
	}
	return none
}

// buildPairs finds every way in which two symbols make a piece. A symbol is a piece or a single character: a character
// that is no piece, but part of one, gets a number behind the pieces.
func (t *Tokenizer) buildPairs() {
	t.chars = newCharTable()
	numSymbols := int32(len(t.pieces))
	var order []int32 // pieces that text can become, the highest score first
	lengths := make([]bool, maxPieceBytes)
	for text, id := range t.merges {
		order = append(order, id)
		lengths[len(text)] = true
		if r, n := utf8.DecodeRuneInString(text); n == len(text) {
			t.chars.set(r, id)
		}
	}
	slices.SortFunc(order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(t.pieces[b].Score, t.pieces[a].Score), cmp.Compare(a, b))
	})

	// symbol returns the number of part of a piece, which may be one character.
	symbol := func(part string) int32 {
		if lengths[len(part)] {
			if id, ok := t.merges[part]; ok {
				return id
			}
		}
		r, n := utf8.DecodeRuneInString(part)
		if n < len(part) {
			return none
		}
		id := t.chars.find(r)
		if id == none {
			id = numSymbols
			numSymbols++
			t.chars.set(r, id)
		}
		return id
	}
	type pair struct {
		left, right int32
		merge
	}
	var pairs []pair
	rank := int32(0)
	for i, id := range order {
		if i > 0 && t.pieces[id].Score != t.pieces[order[i-1]].Score {
			rank++
		}
		text := t.pieces[id].Text
		for cut := range text {
			if cut == 0 {
				continue
			}
			left := symbol(text[:cut])
			if left == none {
				continue
			}
			if right := symbol(text[cut:]); right != none {
				pairs = append(pairs, pair{left, right, merge{rank, id}})
			}
		}
	}
	t.pairs = newPairTable(len(pairs))
	for _, p := range pairs {
		t.pairs.put(p.left, p.right, p.merge)
	}
}
