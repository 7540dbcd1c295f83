package tokenizer

import (
	"hash/maphash"
	"slices"
	"unicode/utf8"

	"github.com/tame-rlhf/tame/internal/heap"
)

// Encode returns the ids of the text, without BOS or EOS, exactly as SentencePiece gives them, or for a tokenizer.json as
// Hugging Face's tokenizers library does. Every text has an encoding; that of "" is empty. Control pieces never come from
// text: "<s>" is encoded as three characters would be. See [Tokenizer.EncodeSpecial].
func (t *Tokenizer) Encode(text string) []int32 { return t.encode(text, nil) }

// EncodeSpecial is Encode for text in which the names of control pieces, and of the unknown piece, mean these pieces:
// "<s>" becomes BOS. That is what Hugging Face's tokenizers do with every text unless told otherwise. Each part between control pieces is encoded
// like a text of its own. Do not use it on text from outside.
func (t *Tokenizer) EncodeSpecial(text string) []int32 { return t.encode(text, allowAll) }

// EncodeRendered is EncodeSpecial for the text of a chat template that was filled in: special tokens that touch one of the literal ranges of
// bytes, which are in order, are encoded as the letters that they are written with, because they came from outside.
func (t *Tokenizer) EncodeRendered(text string, literal [][2]int) []int32 {
	return t.encode(text, allowOutside(literal))
}

// SpecialTokens are the texts that EncodeSpecial takes for control tokens, in alphabetical order.
func (t *Tokenizer) SpecialTokens() []string {
	list := t.controls.specials(nil)
	if h := t.hugging; h != nil {
		list = h.normalized.specials(h.added.specials(nil))
	}
	slices.Sort(list)
	return list
}

func (t *Tokenizer) encode(text string, special allowed) []int32 {
	m := t.merger()
	defer t.release(m)
	if len(text) > maxKeptSlots {
		m.ids = slices.Grow(m.ids, len(text)+16) // a long text has up to an id for each byte, and callers add some: growing would take twice that
	}
	switch {
	case t.hugging != nil:
		t.hugging.encode(m, text, special)
	case special != nil:
		t.controls.cut(text, special, func(part string, _ int, token int32) {
			if token != none {
				m.take(token)
				return
			}
			m.words(t.norm.apply(part))
		})
	default:
		m.words(t.norm.apply(text))
	}
	if cap(m.ids) > maxKeptSlots && cap(m.ids) < 2*len(m.ids) { // not kept: no second copy of what is large
		return m.ids
	}
	return append([]int32(nil), m.ids...)
}

// take appends the id of a piece.
func (m *merger) take(id int32) {
	m.ids = append(m.ids, id)
	m.prevUnk = false
}

// merger encodes texts one after the other. Its slices and its memory of words are used again.
type merger struct {
	t       *Tokenizer
	ids     []int32 // the result
	prevUnk bool    // the last id is the unknown piece, which stands for a whole run of characters

	known []knownWord // most words of a text come again; direct-mapped by their hash
	seed  maphash.Seed

	window, overlap int // bytes of a long text that are encoded at a time, and at least twice

	text    string
	symbols []symbol
	merges  []merge // of each symbol with the next
	links   []link
	heap    heap.Heap[candidate]
	splits  map[string]int // unused pieces that were merged: the length of the left part
	ends    []pathEnd      // of a unigram model
}

// symbol is a part of the text that is not merged further yet.
type symbol struct {
	id    int32 // a piece, or a character that is no piece behind them; negative symbols never merge
	start int   // it ends where the next one starts
}

// none is the symbol of characters without a piece. Among texts, it marks ends.
const none = -1

// frozen is the symbol of a user-defined piece, and the other way round.
func frozen(id int32) int32 { return -2 - id }

// noMerge comes after every merge.
const noMerge = 1<<31 - 1

// knownWord is the ids of a short word that was met before.
type knownWord struct {
	wordLen, numIDs uint8 // no word is empty, so the zero value is free
	word            [22]byte
	ids             [10]int32
}

const (
	numKnown     = 1 << 13
	maxKeptSlots = 1 << 16 // longer slices are left to the garbage collector
	maxShortWord = 24      // symbols; in longer words a heap finds the next merge
)

func (t *Tokenizer) merger() *merger {
	if m, ok := t.mergers.Get().(*merger); ok {
		return m
	}
	return &merger{t: t, seed: maphash.MakeSeed(), window: windowBytes, overlap: windowOverlap + t.user.longest}
}

func (t *Tokenizer) release(m *merger) {
	m.ids, m.prevUnk, m.text = m.ids[:0], false, ""
	if cap(m.ids) > maxKeptSlots {
		m.ids = nil
	}
	if cap(m.symbols) > maxKeptSlots {
		m.symbols, m.merges, m.links, m.heap = nil, nil, nil, nil
	}
	if cap(m.ends) > maxKeptSlots {
		m.ends = nil
	}
	clear(m.splits)
	t.mergers.Put(m)
}

// words appends the ids of normalised text.
func (m *merger) words(text string) {
	if !m.t.wordwise {
		m.encode(text)
		return
	}
	for text != "" {
		n := wordEnd(text)
		m.word(text[:n])
		text = text[n:]
	}
}

// word appends the ids of a word, which are the same wherever it stands.
func (m *merger) word(text string) {
	if len(text) > len(knownWord{}.word) {
		m.encode(text)
		return
	}
	if m.known == nil {
		m.known = make([]knownWord, numKnown)
	}
	k := &m.known[maphash.String(m.seed, text)%numKnown]
	if int(k.wordLen) == len(text) && string(k.word[:k.wordLen]) == text {
		m.ids = append(m.ids, k.ids[:k.numIDs]...)
		return
	}
	before := len(m.ids)
	m.encode(text)
	if ids := m.ids[before:]; text != "" && len(ids) <= len(k.ids) {
		k.wordLen, k.numIDs = uint8(copy(k.word[:], text)), uint8(copy(k.ids[:], ids))
	}
}

// encode appends the ids of text.
func (m *merger) encode(text string) {
	if h := m.t.hugging; h != nil && h.bytes != nil {
		if id, ok := h.bytes.whole[text]; ok {
			m.take(id)
			return
		}
	}
	switch {
	case text == "":
	case m.t.unigram != nil:
		m.unigram(text)
	case len(text) > m.window && !m.t.hasUnused: // where unused pieces are taken apart depends on the whole text
		m.inWindows(text)
	default:
		m.pieces(text)
		m.emitAll(text, m.symbols)
	}
}

// pieces makes the symbols of text, which end as pieces.
func (m *merger) pieces(text string) {
	m.text = text
	m.symbols = m.symbols[:0]
	if h := m.t.hugging; h != nil {
		h.cut(m, text)
	} else {
		m.cut(text)
	}
	m.merge()
}

// emitAll appends the ids of the symbols of text.
func (m *merger) emitAll(text string, symbols []symbol) {
	for i, s := range symbols {
		m.emit(text[s.start:symbolEnd(text, symbols, i)], s.id)
	}
}

// symbolEnd returns where symbol i of text ends after the merges.
func symbolEnd(text string, symbols []symbol, i int) int {
	if i+1 < len(symbols) {
		return symbols[i+1].start
	}
	return len(text)
}

// merge makes the symbols fewer until no two of them make a piece.
func (m *merger) merge() {
	if len(m.symbols) > maxShortWord || m.t.hasUnused {
		m.mergeLong()
	} else {
		m.mergeShort()
	}
}

// cut makes the first symbols: user-defined pieces and characters.
func (m *merger) cut(text string) {
	for i := 0; i < len(text); {
		if m.t.user.any {
			if n := m.t.user.match(text[i:]); n > 0 {
				m.symbols = append(m.symbols, symbol{frozen(m.t.merges[text[i:i+n]]), i})
				i += n
				continue
			}
		}
		r, n := utf8.DecodeRuneInString(text[i:])
		id := int32(none)
		if r != utf8.RuneError || n > 1 {
			id = m.t.chars.find(r)
		}
		m.symbols = append(m.symbols, symbol{id, i})
		i += n
	}
}

// mergeShort merges the pair of lowest rank, the leftmost first, until there is none. It looks at all of them each time,
// which for few symbols is faster than keeping them in order.
func (m *merger) mergeShort() {
	pairs := &m.t.pairs
	m.merges = m.merges[:0]
	at := func(i int) merge {
		if i+1 < len(m.symbols) {
			if found, ok := pairs.find(m.symbols[i].id, m.symbols[i+1].id); ok {
				return found
			}
		}
		return merge{rank: noMerge}
	}
	for i := range m.symbols {
		m.merges = append(m.merges, at(i))
	}
	for {
		best, lowest := 0, int32(noMerge)
		for i, found := range m.merges {
			if found.rank < lowest {
				best, lowest = i, found.rank
			}
		}
		if lowest == noMerge {
			return
		}
		m.symbols[best].id = m.merges[best].id
		m.symbols = slices.Delete(m.symbols, best+1, best+2)
		m.merges = slices.Delete(m.merges, best+1, best+2)
		m.merges[best] = at(best)
		if best > 0 {
			m.merges[best-1] = at(best - 1)
		}
	}
}

// emit appends the id of a symbol: unused pieces are taken apart again, unknown text becomes bytes.
func (m *merger) emit(text string, id int32) {
	t := m.t
	if id <= frozen(0) {
		id = frozen(id)
	}
	if id >= 0 && int(id) < len(t.pieces) {
		if t.hasUnused && t.pieces[id].Type == Unused {
			if n, ok := m.splits[text]; ok {
				m.emit(text[:n], m.lookup(text[:n]))
				m.emit(text[n:], m.lookup(text[n:]))
				return
			}
		}
		m.take(id)
		return
	}
	if !t.spec.byteFallback {
		if !m.prevUnk {
			m.ids = append(m.ids, t.unk)
		}
		m.prevUnk = true
		return
	}
	for i := range len(text) {
		m.ids = append(m.ids, t.bytes[text[i]])
	}
}

func (m *merger) lookup(text string) int32 {
	if id, ok := m.t.merges[text]; ok {
		return id
	}
	return none
}
