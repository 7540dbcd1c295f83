package tokenizer

import (
	"math"
	"slices"
	"unicode/utf8"
)

// unigram encodes by a model of type unigram (Kudo, 2018, arXiv 1804.10959): of all ways to cut the text into pieces, the one
// whose scores, which are log-probabilities, have the highest sum.
type unigram struct {
	edges pairTable // from a node by a byte to a node: a trie of the pieces
	nodes []unigramNode

	unkScore float32 // of a character that is no piece
	maxScore float32
}

// unigramNode is what ends at a node of the trie.
type unigramNode struct {
	id    int32 // the piece, or none
	user  bool  // it is user-defined
	score float32
}

// unkPenalty is how much less probable an unknown character is than the rarest piece.
const unkPenalty = 10

func newUnigram(t *Tokenizer) *unigram {
	u := &unigram{nodes: []unigramNode{{id: none}}}
	lowest := float32(math.MaxFloat32)
	u.maxScore = math.Float32frombits(0x00800000) // the smallest normal number, as in SentencePiece
	size := 0
	for _, p := range t.pieces {
		if p.Type == Normal {
			lowest, u.maxScore = min(lowest, p.Score), max(u.maxScore, p.Score)
		}
		size += len(p.Text)
	}
	u.unkScore = lowest - unkPenalty
	all := newPairTable(size)
	for text, id := range t.merges {
		node := int32(0)
		for i := range len(text) {
			edge, ok := all.find(node, int32(text[i]))
			if !ok {
				edge = merge{id: int32(len(u.nodes))}
				all.put(node, int32(text[i]), edge)
				u.nodes = append(u.nodes, unigramNode{id: none})
			}
			node = edge.id
		}
		if p := t.pieces[id]; p.Type != Unused {
			u.nodes[node] = unigramNode{id, p.Type == UserDefined, p.Score}
		}
	}
	// Pieces share beginnings, so a much smaller table will do, of which more stays in the cache.
	u.edges = newPairTable(len(u.nodes))
	for _, s := range all.all() {
		u.edges.put(s.parts()[0], s.parts()[1], s.merge)
	}
	return u
}

// pathEnd is the best way to cut the text up to some place.
type pathEnd struct {
	score float32
	id    int32 // of the last piece
	size  int32 // of the last piece in bytes, 0 if nothing ends here
}

// unigram appends the ids of text. Sums are rounded where SentencePiece rounds them, so ties fall as they do there.
func (m *merger) unigram(text string) {
	u := m.t.unigram
	m.ends = slices.Grow(m.ends[:0], len(text)+1)[:len(text)+1]
	ends := m.ends
	clear(ends)
	for start := 0; start < len(text); {
		_, n := utf8.DecodeRuneInString(text[start:])
		single := false
		node, before := int32(0), float64(ends[start].score)
		for end := start + 1; end <= len(text); end++ {
			edge, ok := u.edges.find(node, int32(text[end-1]))
			if !ok {
				break
			}
			node = edge.id
			at := &u.nodes[node]
			if at.id == none {
				continue
			}
			score := float64(at.score)
			if at.user { // always taken
				score = float64(float32(end-start)*u.maxScore) - 0.1
			}
			if e, sum := &ends[end], float32(score+before); e.size == 0 || sum > e.score {
				*e = pathEnd{sum, at.id, int32(end - start)}
			}
			single = single || end-start == n
		}
		if !single {
			if e, sum := &ends[start+n], float32(float64(u.unkScore)+before); e.size == 0 || sum > e.score {
				*e = pathEnd{sum, none, int32(n)}
			}
		}
		start += n
	}
	// Turn the best path around in its place: each end gets the piece that follows there.
	for at, piece := len(text), ends[len(text)]; at > 0; {
		at -= int(piece.size)
		ends[at], piece = piece, ends[at]
	}
	for at := 0; at < len(text); {
		end := at + int(ends[at].size)
		m.emit(text[at:end], ends[at].id)
		at = end
	}
}
