package tokenizer

import "unicode/utf8"

// Encode returns the ids of the text, without BOS or EOS, exactly as SentencePiece gives them. Every text has an
// encoding; that of "" is empty. Control pieces never come from text: "<s>" is encoded as three characters would be.
func (t *Tokenizer) Encode(text string) []int32 {
	norm := t.norm.apply(text)
	if norm == "" {
		return nil
	}
	m := merger{t: t, ids: make([]int32, 0, len(norm)/3+1)}
	if !t.wordwise || !t.spec.byteFallback { // without byte fallback a run of unknown characters may go across words
		m.encode(norm)
		return m.ids
	}
	type span struct{ lo, hi int }
	known := make(map[string]span) // ids of the words so far: most words of a text come again
	for norm != "" {
		n := wordEnd(norm)
		lo := len(m.ids)
		if s, ok := known[norm[:n]]; ok {
			m.ids = append(m.ids, m.ids[s.lo:s.hi]...)
		} else {
			m.encode(norm[:n])
			known[norm[:n]] = span{lo, len(m.ids)}
		}
		norm = norm[n:]
	}
	return m.ids
}

// merger encodes one text or its words one after the other, whose slices it reuses.
type merger struct {
	t       *Tokenizer
	ids     []int32 // the result
	prevUnk bool    // the last id is the unknown piece, which stands for a whole run of characters

	text    string
	symbols []symbol
	heap    []candidate
	splits  map[string]int // unused pieces that were merged: the length of the left part
}

// symbol is a part of the text that is not merged further yet; merged ones form a list.
type symbol struct {
	start, end int
	prev, next int   // neighbours, -1 at the ends
	id         int32 // the piece, -1 if not looked up or not in the vocabulary
	dead       bool  // merged into the symbol before
	frozen     bool  // user-defined, never merged
}

// candidate is a possible merge of a symbol with the next one.
type candidate struct {
	score float32
	id    int32 // the piece it would give
	left  int   // index of the left symbol
	size  int   // bytes of both symbols; if they have changed since, the candidate is stale
}

// before says which of two merges comes first.
func (a candidate) before(b candidate) bool {
	return a.score > b.score || a.score == b.score && a.left < b.left
}

// encode appends the ids of text, which is not empty.
func (m *merger) encode(text string) {
	m.text, m.symbols, m.heap = text, m.symbols[:0], m.heap[:0]
	for i := 0; i < len(text); {
		n := m.t.user.match(text[i:])
		frozen := n > 0
		if !frozen {
			_, n = utf8.DecodeRuneInString(text[i:])
		}
		k := len(m.symbols)
		m.symbols = append(m.symbols, symbol{start: i, end: i + n, prev: k - 1, next: k + 1, id: -1, frozen: frozen})
		i += n
	}
	m.symbols[len(m.symbols)-1].next = -1
	for i := range m.symbols[1:] {
		m.consider(i)
	}
	for len(m.heap) > 0 {
		c := m.pop()
		left := &m.symbols[c.left]
		if left.dead || left.next < 0 {
			continue
		}
		right := &m.symbols[left.next]
		if right.end-left.start != c.size {
			continue
		}
		left.end, left.next, left.id, right.dead = right.end, right.next, c.id, true
		if left.next >= 0 {
			m.symbols[left.next].prev = c.left
		}
		if left.prev >= 0 {
			m.consider(left.prev)
		}
		m.consider(c.left)
	}
	for i := 0; i >= 0; i = m.symbols[i].next {
		s := m.symbols[i]
		if s.id < 0 {
			s.id = m.lookup(text[s.start:s.end])
		}
		m.emit(text[s.start:s.end], s.id)
	}
}

func (m *merger) lookup(text string) int32 {
	if id, ok := m.t.merges[text]; ok {
		return id
	}
	return -1
}

// consider pushes the merge of symbol i with the next one if it gives a piece.
func (m *merger) consider(i int) {
	left := &m.symbols[i]
	if left.next < 0 || left.frozen || m.symbols[left.next].frozen {
		return
	}
	text := m.text[left.start:m.symbols[left.next].end]
	id, ok := m.t.merges[text]
	if !ok {
		return
	}
	p := &m.t.pieces[id]
	m.push(candidate{score: p.score, id: id, left: i, size: len(text)})
	if p.kind == Unused {
		if m.splits == nil {
			m.splits = make(map[string]int)
		}
		m.splits[text] = left.end - left.start
	}
}

// emit appends the id of a symbol: unused pieces are taken apart again, unknown text becomes bytes.
func (m *merger) emit(text string, id int32) {
	t := m.t
	if id >= 0 {
		if t.hasUnused && t.pieces[id].kind == Unused {
			if n, ok := m.splits[text]; ok {
				m.emit(text[:n], m.lookup(text[:n]))
				m.emit(text[n:], m.lookup(text[n:]))
				return
			}
		}
		m.ids = append(m.ids, id)
		m.prevUnk = false
		return
	}
	if !t.spec.byteFallback {
		if !m.prevUnk {
			m.ids = append(m.ids, t.unk)
		}
		m.prevUnk = true
		return
	}
	for i := 0; i < len(text); i++ {
		m.ids = append(m.ids, t.bytes[text[i]])
	}
}

// push and pop keep a binary heap. container/heap would box each candidate.
func (m *merger) push(c candidate) {
	h := append(m.heap, c)
	i := len(h) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !c.before(h[parent]) {
			break
		}
		h[i] = h[parent]
		i = parent
	}
	h[i] = c
	m.heap = h
}

func (m *merger) pop() candidate {
	h := m.heap
	top, last := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	m.heap = h
	if len(h) == 0 {
		return top
	}
	i := 0
	for {
		child := 2*i + 1
		if child >= len(h) {
			break
		}
		if child+1 < len(h) && h[child+1].before(h[child]) {
			child++
		}
		if !h[child].before(last) {
			break
		}
		h[i] = h[child]
		i = child
	}
	h[i] = last
	return top
}
