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
	type item struct{ group, tokens, segments int }
	items := make([]item, len(picked))
	for i, g := range picked {
		items[i] = item{group: g, segments: len(groups[g])}
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
	}
	slices.SortFunc(items, func(a, b item) int {
		return cmp.Or(cmp.Compare(b.tokens, a.tokens), cmp.Compare(a.group, b.group))
	})

	type bin struct {
		tokens, segments int // still free
		groups           []int
	}
	var bins []*bin
	for _, it := range items {
		var best *bin // the first of the fullest
		for _, b := range bins {
			if it.tokens <= b.tokens && it.segments <= b.segments && (best == nil || b.tokens < best.tokens) {
				best = b
			}
		}
		if best == nil {
			best = &bin{tokens: n, segments: s}
			bins = append(bins, best)
		}
		best.tokens -= it.tokens
		best.segments -= it.segments
		best.groups = append(best.groups, it.group)
	}

	micro := make([][]int, len(bins))
	for i, b := range bins {
		slices.Sort(b.groups)
		micro[i] = b.groups
	}
	slices.SortFunc(micro, func(a, b []int) int { return cmp.Compare(a[0], b[0]) })
	return micro, nil
}

func upTo(n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	return order
}
