package data

import (
	"slices"

	"github.com/tame-rlhf/tame/internal/heap"
)

// shelves holds bins by the room they have left: one shelf for each number of free tokens, and on it a pile for each
// number of free segments. A tree over the shelves finds the fullest bin with room enough in time that grows with the
// logarithm of the budget, however many bins there are.
type shelves struct {
	leaves int     // of the tree: a power of two
	most   []int32 // node k has children 2k and 2k+1, shelf t is node leaves+t; the most free segments of a bin there, -1 for none
	first  []int32 // a shelf's first pile, -1 for none
	piles  []pile
}

// pile holds the bins with the same free tokens and segments, the first bin on top. It stays when it is empty.
type pile struct {
	segments int32
	next     int32               // the shelf's next pile, or -1
	bins     heap.Heap[struct{}] // the keys are the bins
}

func newShelves(tokens int) *shelves {
	leaves := 1
	for leaves <= tokens {
		leaves *= 2
	}
	empty := []int32{-1}
	return &shelves{leaves: leaves, most: slices.Repeat(empty, 2*leaves), first: slices.Repeat(empty, tokens+1)}
}

// put is freeBins'.
func (f *shelves) put(bin, tokens, segments int) {
	p := f.first[tokens]
	for p >= 0 && f.piles[p].segments != int32(segments) {
		p = f.piles[p].next
	}
	if p < 0 {
		p = int32(len(f.piles))
		f.piles = append(f.piles, pile{segments: int32(segments), next: f.first[tokens]})
		f.first[tokens] = p
	}
	f.piles[p].bins.Push(uint64(bin), struct{}{})
	for node := f.leaves + tokens; node > 0 && f.most[node] < int32(segments); node /= 2 {
		f.most[node] = int32(segments)
	}
}

// take is freeBins'.
func (f *shelves) take(tokens, segments int) (bin, freeTokens, freeSegments int) {
	node := f.shelf(tokens, int32(segments))
	if node < 0 {
		return -1, 0, 0
	}
	best := int32(-1)
	for p := f.first[node-f.leaves]; p >= 0; p = f.piles[p].next {
		if q := &f.piles[p]; len(q.bins) > 0 && q.segments >= int32(segments) && (best < 0 || q.bins[0].Key < f.piles[best].bins[0].Key) {
			best = p
		}
	}
	bin, freeSegments = int(f.piles[best].bins.Pop().Key), int(f.piles[best].segments)
	if len(f.piles[best].bins) == 0 {
		f.update(node)
	}
	return bin, node - f.leaves, freeSegments
}

// shelf is the node of the first shelf from tokens on with a bin of so many free segments, or -1.
func (f *shelves) shelf(tokens int, segments int32) int {
	if tokens >= len(f.first) {
		return -1
	}
	node := f.leaves + tokens
	for f.most[node] < segments {
		// Up until there is something to the right, then there.
		for node&1 == 1 {
			if node /= 2; node <= 1 {
				return -1
			}
		}
		node++
	}
	for node < f.leaves {
		if node *= 2; f.most[node] < segments {
			node++
		}
	}
	return node
}

// update sets what the tree knows about a shelf that lost a pile.
func (f *shelves) update(node int) {
	most := int32(-1)
	for p := f.first[node-f.leaves]; p >= 0; p = f.piles[p].next {
		if len(f.piles[p].bins) > 0 {
			most = max(most, f.piles[p].segments)
		}
	}
	f.most[node] = most
	for node /= 2; node > 0; node /= 2 {
		m := max(f.most[2*node], f.most[2*node+1])
		if f.most[node] == m {
			return
		}
		f.most[node] = m
	}
}
