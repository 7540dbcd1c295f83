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

// before says which of two merges comes first.
func (a candidate) before(b candidate) bool {
	return a.rank < b.rank || a.rank == b.rank && a.left < b.left
}

// mergeLong does what mergeShort does with a heap: the time grows with n log n.
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
		c := m.pop()
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
	m.push(candidate{merge: found, left: i, end: end})
	if m.t.hasUnused && m.t.pieces[found.id].Type == Unused {
		if m.splits == nil {
			m.splits = make(map[string]int)
		}
		start := m.symbols[i].start
		m.splits[m.text[start:end]] = m.symbols[next].start - start
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
