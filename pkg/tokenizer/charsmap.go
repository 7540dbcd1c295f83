package tokenizer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// charsMap is a table of replacements (NFKC, say) as SentencePiece stores it: a double-array trie over the bytes of the
// texts to replace, whose values are offsets into a blob of null-terminated replacements.
//
// A unit of the trie holds, from bit 0: the label (8 bits) it is entered by, a bit that says whether a text ends here, a
// bit that scales the offset by 256, and the offset (22 bits) to its children, whose index is that offset XOR the label
// XOR the unit's own index. A unit with the top bit set is a value.
type charsMap struct {
	units []uint32
	blob  []byte
}

func parseCharsMap(data []byte) (charsMap, error) {
	if len(data) == 0 {
		return charsMap{}, nil
	}
	if len(data) < 4 {
		return charsMap{}, errors.New("normalizer_spec: the character map is cut short")
	}
	size := int64(binary.LittleEndian.Uint32(data))
	data = data[4:]
	if size == 0 || size%4 != 0 || size >= int64(len(data)) {
		return charsMap{}, fmt.Errorf("normalizer_spec: the character map has %d bytes but says that its trie has %d",
			len(data), size)
	}
	m := charsMap{units: make([]uint32, size/4), blob: data[size:]}
	for i := range m.units {
		m.units[i] = binary.LittleEndian.Uint32(data[4*i:])
	}
	if m.blob[len(m.blob)-1] != 0 {
		return charsMap{}, errors.New("normalizer_spec: the character map's last replacement does not end")
	}
	return m, nil
}

func unitOffset(u uint32) uint32 { return u >> 10 << (u & (1 << 9) >> 6) }

// match returns the replacement of the longest text of the map that s starts with, and the length of that text; 0 if
// there is none.
func (m *charsMap) match(s string) (string, int) {
	if len(m.units) == 0 {
		return "", 0
	}
	const valueBit = 1 << 31
	longest, value := 0, uint32(0)
	pos := unitOffset(m.units[0])
	for i := 0; i < len(s); i++ {
		pos ^= uint32(s[i])
		if int64(pos) >= int64(len(m.units)) {
			break
		}
		unit := m.units[pos]
		if unit&(valueBit|math.MaxUint8) != uint32(s[i]) {
			break
		}
		pos ^= unitOffset(unit)
		if unit&(1<<8) != 0 && int64(pos) < int64(len(m.units)) {
			longest, value = i+1, m.units[pos]&^valueBit
		}
	}
	if longest == 0 || int64(value) >= int64(len(m.blob)) {
		return "", 0
	}
	text := m.blob[value:]
	return string(text[:bytes.IndexByte(text, 0)]), longest
}

// stirs says whether a text of the map begins with this ASCII character and is that character alone, or goes on with
// another ASCII character.
func (m *charsMap) stirs(c byte) bool {
	if _, n := m.match(string(rune(c))); n > 0 {
		return true
	}
	if len(m.units) == 0 {
		return false
	}
	pos := unitOffset(m.units[0]) ^ uint32(c)
	if int64(pos) >= int64(len(m.units)) || !m.leads(pos, c) {
		return false
	}
	pos ^= unitOffset(m.units[pos])
	for next := range byte(utf8.RuneSelf) {
		if at := pos ^ uint32(next); int64(at) < int64(len(m.units)) && m.leads(at, next) {
			return true
		}
	}
	return false
}

// leads says whether the unit at pos is entered by the label c.
func (m *charsMap) leads(pos uint32, c byte) bool {
	return m.units[pos]&(1<<31|math.MaxUint8) == uint32(c)
}
