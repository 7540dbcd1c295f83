package tokenizer

import (
	"math"
	"slices"
	"unicode/utf8"
)

// unigram encodes by a model of type unigram (Kudo, 2018, arXiv 1804.10959): of all ways to cut the text into pieces, the one
// whose scores, which are log-probabilities, have the highest sum.
type unigram struct {
	edges  pairTable // from a node by a byte to a node
	pieces []int32   // that end at a node, or none

	unkScore float32 // of a character that is no piece
	maxScore float32
}

// unkPenalty is how much less probable an unknown character is than the rarest piece.
const unkPenalty = 10

func newUnigram(t *Tokenizer) *unigram {
	u := &unigram{pieces: []int32{none}}
	lowest := float32(math.MaxFloat32)
	u.maxScore = math.Float32frombits(0x00800000) // the smallest normal number, as in SentencePiece
	size := 0
	for _, p := range t.pieces {
		if p.kind == Normal {
			lowest, u.maxScore = min(lowest, p.score), max(u.maxScore, p.score)
		}
		size += len(p.text)
	}
	u.unkScore = lowest - unkPenalty
	u.edges = newPairTable(size)
	for text, id := range t.merges {
		node := int32(0)
		for i := range len(text) {
			edge, ok := u.edges.find(node, int32(text[i]))
			if !ok {
				edge = merge{id: int32(len(u.pieces))}
				u.edges.put(node, int32(text[i]), edge)
				u.pieces = append(u.pieces, none)
			}
			node = edge.id
		}
		u.pieces[node] = id
	}
	return u
}

// pathEnd is the best way to cut the text up to some place.
type pathEnd struct {
	score float32
	id    int32 // of the last piece
	start int   // of the last piece, none if nothing ends here
}

// unigram appends the ids of text. Sums are rounded where SentencePiece rounds them, so ties fall as they do there.
func (m *merger) unigram(text string) {
	u, t := m.t.unigram, m.t
	m.ends = slices.Grow(m.ends[:0], len(text)+1)[:len(text)+1]
	for i := range m.ends {
		m.ends[i] = pathEnd{start: none}
	}
	reach := func(end, start int, id int32, score float64) {
		e := &m.ends[end]
		if sum := float32(score + float64(m.ends[start].score)); e.start == none || sum > e.score {
			*e = pathEnd{sum, id, start}
		}
	}
	m.ends[0].score = 0
	for start := 0; start < len(text); {
		_, n := utf8.DecodeRuneInString(text[start:])
		single := false
		node := int32(0)
		for end := start + 1; end <= len(text); end++ {
			edge, ok := u.edges.find(node, int32(text[end-1]))
			if !ok {
				break
			}
			node = edge.id
			id := u.pieces[node]
			if id == none || t.pieces[id].kind == Unused {
				continue
			}
			score := float64(t.pieces[id].score)
			if t.pieces[id].kind == UserDefined { // always taken
				score = float64(float32(end-start)*u.maxScore) - 0.1
			}
			reach(end, start, id, score)
			single = single || end-start == n
		}
		if !single {
			reach(start+n, start, none, float64(u.unkScore))
		}
		start += n
	}
	m.symbols = m.symbols[:0]
	for end := len(text); end > 0; {
		e := m.ends[end]
		m.symbols = append(m.symbols, symbol{e.id, e.start})
		end = e.start
	}
	slices.Reverse(m.symbols)
}
