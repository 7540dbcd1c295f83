package eval

import (
	"fmt"
	"math"
)

// maxGram is the longest n-gram that SelfBLEU knows.
const maxGram = 4

// zeroCount stands for the count of n-grams of an order of which none is shared, so that the geometric mean is not 0.
const zeroCount = 0.1

// SelfBLEU tells how alike the samples of one prompt are (Zhu et al. 2018; Touvron et al. 2023, figure 21): for each sample the BLEU of up to
// n-grams (n from 1 to 4) with all other samples as its references. 1 is a copy of another sample, 0 shares no token with any; less
// is more diverse. Tokens are ids or words. Average over samples, then over prompts.
//
//	BLEU = min(1, exp(1 - r/c)) (Π p_k)^(1/n),   k = 1 ... n
//
// c is the length of the sample and r the nearest length of a reference, the shorter one of two. p_k is the share of the sample's
// k-grams that occur in a reference, each at most as often as in the reference that has it most often (Papineni et al. 2002).
//
// Smoothing: an order with no shared k-gram counts 0.1 of one, as in method 1 of Chen and Cherry (2014), but a sample that shares no
// token has 0. Orders longer than the sample are left out, so a copy has 1 however short it is. An empty sample has 1 if another is empty.
func SelfBLEU[T comparable](samples [][]T, n int) ([]float64, error) {
	if n < 1 || n > maxGram {
		return nil, fmt.Errorf("eval: self-BLEU: n is %d, want 1 to %d", n, maxGram)
	}
	if len(samples) < 2 {
		return nil, fmt.Errorf("eval: self-BLEU: %d samples, want at least 2 to compare", len(samples))
	}
	texts, _ := number(samples)
	logs := make([]float64, len(texts)) // sums of log p_k
	for order := 1; order <= n; order++ {
		for i, shared := range sharedGrams(texts, order) {
			hits := float64(shared)
			if shared == 0 && order > 1 {
				hits = zeroCount
			}
			if grams := len(texts[i]) - order + 1; grams > 0 {
				logs[i] += math.Log(hits / float64(grams)) // -Inf without a shared token
			}
		}
	}
	scores := make([]float64, len(texts))
	for i, text := range texts {
		c, r := len(text), nearest(texts, i)
		switch {
		case c > 0:
			scores[i] = math.Exp(logs[i]/float64(min(n, c)) + min(0, 1-float64(r)/float64(c)))
		case r == 0:
			scores[i] = 1
		}
	}
	return scores, nil
}

// number replaces values by numbers from 1 on, in the order in which they occur, and tells how many there are.
func number[T comparable](samples [][]T) (texts [][]int32, count int) {
	known := map[T]int32{}
	texts = make([][]int32, len(samples))
	for i, sample := range samples {
		texts[i] = make([]int32, len(sample))
		for k, token := range sample {
			id, seen := known[token]
			if !seen {
				id = int32(len(known) + 1)
				known[token] = id
			}
			texts[i][k] = id
		}
	}
	return texts, len(known)
}

// nearest is the length of another text that is nearest to that of text i, the shorter of two.
func nearest(texts [][]int32, i int) int {
	best, c := -1, len(texts[i])
	for j, other := range texts {
		if j == i {
			continue
		}
		r := len(other)
		if d, least := abs(r-c), abs(best-c); best < 0 || d < least || d == least && r < best {
			best = r
		}
	}
	return best
}

func abs(x int) int { return max(x, -x) }

// most are the two greatest counts of an n-gram in a text, and whose the greatest is.
type most struct{ first, second, owner int }

// sharedGrams counts, for each text, its n-grams of that order that occur in another, each at most as often as in the one that has it most
// often.
func sharedGrams(texts [][]int32, order int) []int {
	counts := make([]map[[maxGram]int32]int, len(texts))
	greatest := map[[maxGram]int32]most{}
	for i, text := range texts {
		counts[i] = map[[maxGram]int32]int{}
		for k := 0; k+order <= len(text); k++ {
			var gram [maxGram]int32
			copy(gram[:], text[k:k+order])
			counts[i][gram]++
		}
		for gram, count := range counts[i] {
			switch m := greatest[gram]; {
			case count > m.first:
				greatest[gram] = most{first: count, second: m.first, owner: i}
			case count > m.second:
				m.second = count
				greatest[gram] = m
			}
		}
	}
	shared := make([]int, len(texts))
	for i := range texts {
		for gram, count := range counts[i] {
			m := greatest[gram]
			elsewhere := m.first
			if m.owner == i {
				elsewhere = m.second
			}
			shared[i] += min(count, elsewhere)
		}
	}
	return shared
}
