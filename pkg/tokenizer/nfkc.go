package tokenizer

import (
	"encoding/binary"
	"maps"
	"slices"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// endNFKC is a character behind all that NFKC changes.
const endNFKC rune = 0x30000

// nfkcRules are replacements that bring text into the normal form NFKC (Unicode Standard Annex 15), as far as replacing the
// longest text of a list can: single characters, and what composes to one character, also where its parts are written
// in another form (half-width katakana with its voicing mark). Marks in the wrong order stay so.
func nfkcRules() map[string]string {
	rules := make(map[string]string)
	forms := make(map[string][]string) // of a character: itself, and what becomes it
	for r := range endNFKC {
		if !utf8.ValidRune(r) {
			continue
		}
		text := string(r)
		if nfkc := norm.NFKC.String(text); nfkc != text {
			rules[text] = nfkc
			if utf8.RuneCountInString(nfkc) == 1 {
				forms[nfkc] = append(forms[nfkc], text)
			}
		}
	}
	for r := range endNFKC {
		text := string(r)
		parts := []rune(norm.NFD.String(text))
		if !utf8.ValidRune(r) || len(parts) < 2 || norm.NFC.String(text) != text {
			continue
		}
		nfkc := norm.NFKC.String(text)
		for k := 1; k < len(parts); k++ { // composed as far as k
			head := norm.NFC.String(string(parts[:k]))
			rules[head+string(parts[k:])] = nfkc
		}
		if len(parts) > 2 {
			continue
		}
		for _, first := range append([]string{string(parts[0])}, forms[string(parts[0])]...) {
			for _, second := range append([]string{string(parts[1])}, forms[string(parts[1])]...) {
				rules[first+second] = nfkc
			}
		}
	}
	return rules
}

// nfkcCharsMap takes some time to make, so it is made once.
var nfkcCharsMap = sync.OnceValue(func() []byte { return encodeCharsMap(nfkcRules()) })

// trieNode is a text's prefix while the table of replacements is being made.
type trieNode struct {
	children map[byte]*trieNode
	value    int64 // offset of the replacement, none if no text ends here
}

// encodeCharsMap writes replacements in the form that parseCharsMap reads.
func encodeCharsMap(rules map[string]string) []byte {
	root := &trieNode{value: none}
	var blob []byte
	offsets := make(map[string]int64) // of the replacements in blob
	for _, text := range slices.Sorted(maps.Keys(rules)) {
		by := rules[text]
		offset, ok := offsets[by]
		if !ok {
			offset = int64(len(blob))
			offsets[by] = offset
			blob = append(append(blob, by...), 0)
		}
		node := root
		for i := range len(text) {
			next := node.children[text[i]]
			if next == nil {
				next = &trieNode{value: none}
				if node.children == nil {
					node.children = make(map[byte]*trieNode)
				}
				node.children[text[i]] = next
			}
			node = next
		}
		node.value = offset
	}
	units := doubleArray(root)
	out := binary.LittleEndian.AppendUint32(nil, uint32(4*len(units)))
	for _, u := range units {
		out = binary.LittleEndian.AppendUint32(out, u)
	}
	return append(out, blob...)
}

const (
	arrayBlock = 256 // units; SentencePiece reads whole blocks
	openBlocks = 16  // at the end of the array, where free units are looked for
)

// doubleArray lays a trie out as charsMap describes: the children of the unit at i stand at i XOR offset XOR label.
func doubleArray(root *trieNode) []uint32 {
	var units []uint32
	var used []bool  // of each unit
	var bases []bool // i XOR offset of some unit i: no two may have the same, or their children would mix
	grow := func() {
		units, used = append(units, make([]uint32, arrayBlock)...), append(used, make([]bool, arrayBlock)...)
		bases = append(bases, make([]bool, arrayBlock)...)
	}
	grow()
	used[0], bases[0] = true, true // the root, whose label nothing may lead to
	type placed struct {
		node *trieNode
		at   uint32
	}
	queue := []placed{{root, 0}}
	for len(queue) > 0 {
		p := queue[0]
		queue = queue[1:]
		labels := slices.Sorted(maps.Keys(p.node.children))
		if p.node.value != none {
			labels = append([]byte{0}, labels...) // the value stands where label 0 would lead
		}
		if len(labels) == 0 {
			continue
		}
		// fits says whether the children can stand around a base: all in one block.
		fits := func(base uint32) bool {
			if bases[base] || !fitsOffset(base^p.at) {
				return false
			}
			for _, label := range labels {
				if used[base^uint32(label)] {
					return false
				}
			}
			return true
		}
		at := uint32(max(0, len(used)-openBlocks*arrayBlock))
		for ; !fits(at ^ uint32(labels[0])); at++ {
			if int(at) == len(used)-1 {
				grow()
			}
		}
		base := at ^ uint32(labels[0])
		bases[base] = true
		units[p.at] |= encodeOffset(base ^ p.at)
		if p.node.value != none {
			units[p.at] |= 1 << 8
			units[base], used[base] = uint32(p.node.value)|1<<31, true
		}
		for _, label := range labels {
			if child := p.node.children[label]; child != nil {
				at := base ^ uint32(label)
				units[at], used[at] = uint32(label), true
				queue = append(queue, placed{child, at})
			}
		}
	}
	// Units without a node get labels that no way through the trie leads to them by.
	for begin := uint32(0); int(begin) < len(units); begin += arrayBlock {
		spare := begin
		for spare < begin+arrayBlock-1 && bases[spare] {
			spare++
		}
		for i := begin; i < begin+arrayBlock; i++ {
			if !used[i] {
				units[i] = (i ^ spare) % arrayBlock
			}
		}
	}
	return units
}

// A unit holds 21 bits of an offset, or 21 bits of its 256th part.
func fitsOffset(offset uint32) bool { return offset < 1<<21 || offset < 1<<29 && offset%256 == 0 }

func encodeOffset(offset uint32) uint32 {
	if offset < 1<<21 {
		return offset << 10
	}
	return offset<<2 | 1<<9
}
