package tokenizer

// link connects the symbols that are left of a long word.
type link struct {
	prev, next int  // none at the ends
	dead       bool // merged into the symbol before
}

// candidate is a possible merge of a symbol with the next one.
type candidate struct {
	merge
	left int // index of the left symbol
	end  int // where the right symbol ends; if that has changed since, the candidate is stale
}

// mergeLong does what mergeShort does with a heap, by rank and then from the left: the time grows with n log n.
func (m *merger) mergeLong() {
	m.links, m.heap = m.links[:0], m.heap[:0]
	for i := range m.symbols {
		m.links = append(m.links, link{prev: i - 1, next: i + 1})
	}
	m.links[len(m.links)-1].next = none
	for i := range m.symbols {
		m.consider(i)
	}
	for len(m.heap) > 0 {
		c := m.heap.Pop().Value
		left := &m.links[c.left]
		if left.dead || left.next == none || m.end(left.next) != c.end {
			continue
		}
		right := &m.links[left.next]
		right.dead = true
		left.next = right.next
		m.symbols[c.left].id = c.id
		if left.next != none {
			m.links[left.next].prev = c.left
		}
		if left.prev != none {
			m.consider(left.prev)
		}
		m.consider(c.left)
	}
	alive := m.symbols[:0]
	for i := 0; i != none; i = m.links[i].next {
		alive = append(alive, m.symbols[i])
	}
	m.symbols = alive
}

// end returns where symbol i ends.
func (m *merger) end(i int) int {
	if next := m.links[i].next; next != none {
		return m.symbols[next].start
	}
	return len(m.text)
}

// consider pushes the merge of symbol i with the next one if it gives a piece.
func (m *merger) consider(i int) {
	next := m.links[i].next
	if next == none {
		return
	}
	found, ok := m.t.pairs.find(m.symbols[i].id, m.symbols[next].id)
	if !ok {
		return
	}
	end := m.end(next)
	m.heap.Push(uint64(found.rank)<<32|uint64(i), candidate{merge: found, left: i, end: end})
	if m.t.hasUnused && m.t.pieces[found.id].Type == Unused {
		if m.splits == nil {
			m.splits = make(map[string]int)
		}
		start := m.symbols[i].start
		m.splits[m.text[start:end]] = m.symbols[next].start - start
	}
}
