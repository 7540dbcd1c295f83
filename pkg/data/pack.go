package data

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
)

// Pack distributes sequences over as few micro-batches of n token slots and s segments as best-fit decreasing finds:
// longest first, each into the micro-batch it leaves least room in. The result lists the sequence indices of each
// micro-batch, ascending, micro-batches by their first index; it depends on the arguments alone. A sequence is never
// cut: one that is longer than n gives a *TooLongError.
func Pack(lengths []int, n, s int) ([][]int, error) {
	groups := make([][]int, len(lengths))
	for i := range lengths {
		groups[i] = lengths[i : i+1]
	}
	return PackGroups(groups, n, s)
}

// PackGroups is Pack for groups of sequences that must share a micro-batch: the two answers of a preference pair, the
// samples of one prompt. groups holds the lengths of each group's members, of a branch (Ragged.AppendBranch) what is its
// own; the result lists group indices.
func PackGroups(groups [][]int, n, s int) ([][]int, error) {
	return packPicked(groups, upTo(len(groups)), n, s)
}

// Batches cuts items into optimisation batches of size items each, in the given order (nil: as they come), and packs
// every batch into micro-batches of n token slots and s segments. items holds the lengths of each item's sequences
// (one for a text or a conversation, two for a preference pair). The result is indexed [batch][micro-batch][i] and
// holds item indices; the last batch has what is left over and may be smaller.
func Batches(items [][]int, order []int, size, n, s int) ([][][]int, error) {
	if size < 1 {
		return nil, fmt.Errorf("data: batches: %d items a batch, want at least 1", size)
	}
	if order == nil {
		order = upTo(len(items))
	}
	seen := make([]bool, len(items))
	for _, i := range order {
		if i < 0 || i >= len(items) || seen[i] {
			return nil, fmt.Errorf("data: batches: order names item %d twice, or it is not one of the %d items", i, len(items))
		}
		seen[i] = true
	}
	var batches [][][]int
	for picked := range slices.Chunk(order, size) {
		micro, err := packPicked(items, picked, n, s)
		if err != nil {
			return nil, err
		}
		batches = append(batches, micro)
	}
	return batches, nil
}

// Shuffled returns a permutation of 0, ..., n-1 that depends on n, the seed and the epoch alone, so that a resumed run
// finds its place again from these numbers.
func Shuffled(n int, seed uint64, epoch int) []int {
	return rand.New(rand.NewPCG(seed, uint64(epoch))).Perm(n)
}

// packPicked packs groups[g] for every g in picked.
func packPicked(groups [][]int, picked []int, n, s int) ([][]int, error) {
	if n < 1 || s < 1 {
		return nil, fmt.Errorf("data: pack: a budget of %d tokens and %d segments holds nothing", n, s)
	}
	items := make([]packItem, len(picked))
	total := 0
	for i, g := range picked {
		items[i] = packItem{group: g, segments: len(groups[g])}
		for member, length := range groups[g] {
			if length < 1 {
				return nil, fmt.Errorf("data: pack: sequence %d, member %d has %d tokens, want at least 1", g, member, length)
			}
			items[i].tokens += length
		}
		if items[i].tokens > n {
			return nil, &TooLongError{Index: g, Length: items[i].tokens, Budget: n, Unit: "tokens"}
		}
		if items[i].segments > s {
			return nil, &TooLongError{Index: g, Length: items[i].segments, Budget: s, Unit: "segments"}
		}
		total += min(items[i].tokens, n-total) // more room than all items need together changes nothing
	}
	slices.SortFunc(items, func(a, b packItem) int {
		return cmp.Or(cmp.Compare(b.tokens, a.tokens), cmp.Compare(a.group, b.group))
	})
	return bestFit(items, newFreeBins(len(items), total), total, s), nil
}

// packItem is a group with what it takes of a bin.
type packItem struct{ group, tokens, segments int }

// freeBins holds bins by the room that they have left.
type freeBins interface {
	put(bin, tokens, segments int)
	// take removes the bin with the fewest free tokens of those that have enough of both, the first of several, and gives
	// what is free in it. Without one the bin is -1.
	take(tokens, segments int) (bin, freeTokens, freeSegments int)
}

// newFreeBins chooses: shelves take memory for every token of the budget, so a large budget for few items gets a list.
func newFreeBins(items, tokens int) freeBins {
	if tokens/64 > items {
		return &binList{}
	}
	return newShelves(tokens)
}

// bestFit puts each item into the fullest bin that has room for it, the first of equally full ones.
func bestFit(items []packItem, free freeBins, n, s int) [][]int {
	bins := 0
	before := make([]int, len(items)) // the item that came into the same bin before, or -1
	var last, size []int              // of each bin: its last item, and how many it has
	for i, it := range items {
		bin, tokens, segments := free.take(it.tokens, it.segments)
		if bin < 0 {
			bin, tokens, segments = bins, n, s
			bins++
			last, size = append(last, -1), append(size, 0)
		}
		before[i], last[bin] = last[bin], i
		size[bin]++
		free.put(bin, tokens-it.tokens, segments-it.segments)
	}

	all := make([]int, len(items)) // the bins' groups side by side
	micro := make([][]int, bins)
	for bin := range micro {
		micro[bin], all = all[:size[bin]:size[bin]], all[size[bin]:]
		at := 0
		for i := last[bin]; i >= 0; i = before[i] {
			micro[bin][at] = items[i].group
			at++
		}
		slices.Sort(micro[bin])
	}
	slices.SortFunc(micro, func(a, b []int) int { return cmp.Compare(a[0], b[0]) })
	return micro
}

// binList is the plain form of freeBins: every take looks at every bin.
type binList struct {
	bins []struct{ bin, tokens, segments int }
}

func (l *binList) put(bin, tokens, segments int) {
	l.bins = append(l.bins, struct{ bin, tokens, segments int }{bin, tokens, segments})
}

func (l *binList) take(tokens, segments int) (bin, freeTokens, freeSegments int) {
	best := -1
	for i, b := range l.bins {
		if tokens > b.tokens || segments > b.segments {
			continue
		}
		if best < 0 || cmp.Or(cmp.Compare(b.tokens, l.bins[best].tokens), cmp.Compare(b.bin, l.bins[best].bin)) < 0 {
			best = i
		}
	}
	if best < 0 {
		return -1, 0, 0
	}
	b := l.bins[best]
	end := len(l.bins) - 1
	l.bins[best] = l.bins[end]
	l.bins = l.bins[:end]
	return b.bin, b.tokens, b.segments
}

func upTo(n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	return order
}
