package corpus

import "slices"

// suffixArray sorts the suffixes of a text: suffix array[i] comes before suffix array[i+1], a shorter one before a longer
// one that begins with it.
//
// It is prefix doubling (Manber and Myers 1993): suffixes sorted by their first h symbols are sorted by their first 2h with
// the ranks of what follows behind h, two counting passes for each doubling. That is n log(longest repeat) steps, and the
// shortest of the known ways to do it.
func suffixArray(text []int32) []int32 {
	n := len(text)
	order, rank := make([]int32, n), make([]int32, n)
	symbols := slices.Clone(text)
	slices.Sort(symbols)
	symbols = slices.Compact(symbols)
	for i, x := range text {
		at, _ := slices.BinarySearch(symbols, x)
		rank[i] = int32(at)
	}
	classes := len(symbols)
	count := make([]int32, max(n, classes)+1)
	// sortByRank puts the suffixes, which come in some order, into order by rank and keeps those of one rank as they came.
	sortByRank := func(in []int32) {
		clear(count[:classes+1])
		for _, r := range rank {
			count[r+1]++
		}
		for c := range classes {
			count[c+1] += count[c]
		}
		for _, i := range in {
			order[count[rank[i]]] = i
			count[rank[i]]++
		}
	}
	second, next := make([]int32, n), make([]int32, n)
	for i := range second {
		second[i] = int32(i)
	}
	sortByRank(second)
	for h := 1; classes < n; h *= 2 {
		// By what follows behind h: first the suffixes where nothing follows, then the others as that is sorted.
		second = second[:0]
		for i := max(0, n-h); i < n; i++ {
			second = append(second, int32(i))
		}
		for _, i := range order {
			if int(i) >= h {
				second = append(second, i-int32(h))
			}
		}
		sortByRank(second)

		behind := func(i int32) int32 {
			if int(i)+h < n {
				return rank[int(i)+h]
			}
			return -1
		}
		next[order[0]] = 0
		classes = 1
		for k := 1; k < n; k++ {
			a, b := order[k-1], order[k]
			if rank[a] != rank[b] || behind(a) != behind(b) {
				classes++
			}
			next[b] = int32(classes - 1)
		}
		rank, next = next, rank
	}
	return order
}
