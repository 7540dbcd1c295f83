package tokenizer

import "unicode/utf8"

// windowBytes is how much of a text without breaks is encoded at a time, so that the memory does not grow with it and a
// window stays in the cache.
const windowBytes = 1 << 16

// windowOverlap is how much of a window, at least, the next one encodes again.
const windowOverlap = 512

// inWindows appends the ids of a long text, the same as those of the whole text encoded at once.
//
// Pairs are merged by rank, then from the left. So a sequence of pieces is the encoding of its text if each two
// neighbours in it are the encoding of theirs: the first merge across the border of two pieces would be made in the
// encoding of these two alone as well. Neighbours from one window are such neighbours. Windows are therefore joined in
// front of a piece that both of them have in the same place.
func (m *merger) inWindows(text string) {
	var pending []symbol // the pieces of text[before:start], until the next window confirms the joint
	var joint string     // the piece after them
	var jointID int32
	before, start, size := 0, 0, m.window
	for {
		m.pieces(text[start:windowEnd(text, start+size)])
		if len(pending) > 0 && (len(m.symbols) == 0 || m.symbols[0].id != jointID || m.text[:symbolEnd(m.text, m.symbols, 0)] != joint) {
			start, size, pending = before, 2*size, pending[:0]
			continue
		}
		if len(pending) > 0 {
			m.emitAll(text[before:start], pending)
			pending, size = pending[:0], m.window
		}
		if start+len(m.text) == len(text) {
			m.emitAll(m.text, m.symbols)
			return
		}
		n := m.lastBefore(len(m.text) - m.overlap)
		if n < 1 { // one piece fills the window, as a run of unknown characters does
			size *= 2
			continue
		}
		pending = append(pending, m.symbols[:n]...)
		joint, jointID = m.text[m.symbols[n].start:symbolEnd(m.text, m.symbols, n)], m.symbols[n].id
		before, start = start, start+m.symbols[n].start
	}
}

// lastBefore returns the index of the last symbol that ends at or before a place, -1 if none does.
func (m *merger) lastBefore(place int) int {
	n := len(m.symbols) - 1
	for n >= 0 && symbolEnd(m.text, m.symbols, n) > place {
		n--
	}
	return n
}

// windowEnd returns the end of a window that shall end at a place: before the character there.
func windowEnd(text string, end int) int {
	if end >= len(text) {
		return len(text)
	}
	for back := 0; back < utf8.UTFMax && !utf8.RuneStart(text[end]); back++ {
		end--
	}
	return end
}
