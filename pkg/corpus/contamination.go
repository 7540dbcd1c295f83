package corpus

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/tame-rlhf/tame/pkg/setting"
)

// ContaminationConfig says what a match between an evaluation sample and a training document is (appendix A.6).
type ContaminationConfig struct {
	// MinLength: a match must be longer, in tokens. As many at its beginning must be equal without exception. Default 10.
	MinLength int
	// Skip is how many tokens of a match may differ, its first MinLength and its last excepted. Default 4.
	Skip int
	// Clean: samples with a smaller share of contaminated tokens are clean, the others not clean. Default 0.2.
	Clean float64
	// Dirty: samples with at least that share are dirty, the others not dirty. Default 0.8.
	Dirty float64
}

// DefaultContaminationConfig is that of the paper.
func DefaultContaminationConfig() ContaminationConfig {
	return ContaminationConfig{MinLength: 10, Skip: 4, Clean: 0.2, Dirty: 0.8}
}

// Validate reports everything that is wrong.
func (c ContaminationConfig) Validate() error {
	check := setting.NewChecks("corpus: ContaminationConfig")
	check.AtLeast("MinLength", c.MinLength, 1)
	check.AtLeast("Skip", c.Skip, 0)
	check.Share("Clean", c.Clean)
	check.Share("Dirty", c.Dirty)
	return check.Err()
}

// Contamination finds what of an evaluation set stands in training documents. Memory is that of the evaluation set, about 50
// bytes a token: training documents are looked at one after the other and forgotten.
//
// The evaluation samples lie side by side in one text with a separator of its own behind each, under a suffix array. The
// suffixes that begin with some MinLength tokens are a range of the array, found by a hash; a match is followed on by
// narrowing the range, and a difference is a step into another part of it.
type Contamination struct {
	cfg     ContaminationConfig
	starts  []int   // of the samples in text, and its end
	text    []int32 // separators are negative
	suffix  []int32
	seeds   map[uint64]span // ranges of suffixes that begin with the same MinLength tokens, by their hash or the next free number
	power   uint64          // of the hash
	longest []int32         // of each token: the length of the longest match in which it is equal
	exact   []int32         // of each token: the length of the longest match without differences that was found from it on
}

// span is a range of the suffix array.
type span struct{ lo, hi int32 }

// NewContamination takes the evaluation samples as token ids.
func NewContamination(samples [][]int32, cfg ContaminationConfig) (*Contamination, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	total := len(samples)
	for i, s := range samples {
		if j := slices.IndexFunc(s, func(id int32) bool { return id < 0 }); j >= 0 {
			return nil, fmt.Errorf("corpus: contamination: sample %d has the token id %d, want ids from 0 on", i, s[j])
		}
		total += len(s)
	}
	if total > math.MaxInt32 {
		return nil, fmt.Errorf("corpus: contamination: the samples have %d tokens together, want less than 2^31: check them in parts", total)
	}
	c := &Contamination{cfg: cfg, text: make([]int32, 0, total)}
	for i, s := range samples {
		c.starts = append(c.starts, len(c.text))
		c.text = append(append(c.text, s...), int32(-1-i))
	}
	c.starts = append(c.starts, len(c.text))
	c.suffix = suffixArray(c.text)
	c.longest, c.exact = make([]int32, len(c.text)), make([]int32, len(c.text))
	c.index()
	return c, nil
}

// hashFactor is an odd number without a pattern; hashes are compared with the tokens themselves afterwards.
const hashFactor = 0x9e3779b97f4a7c15

func hash(tokens []int32) (h uint64) {
	for _, id := range tokens {
		h = h*hashFactor + uint64(id) + 1
	}
	return h
}

// index finds the ranges of suffixes that begin with the same MinLength tokens.
func (c *Contamination) index() {
	n := c.cfg.MinLength
	c.power = 1
	for range n {
		c.power *= hashFactor
	}
	c.seeds = map[uint64]span{}
	head := func(k int) []int32 {
		at := int(c.suffix[k])
		if at+n > len(c.text) {
			return nil
		}
		tokens := c.text[at : at+n]
		if slices.ContainsFunc(tokens, func(id int32) bool { return id < 0 }) {
			return nil // reaches over the end of its sample
		}
		return tokens
	}
	for lo := 0; lo < len(c.suffix); {
		tokens := head(lo)
		hi := lo + 1
		if tokens == nil {
			lo = hi
			continue
		}
		for hi < len(c.suffix) && slices.Equal(tokens, head(hi)) {
			hi++
		}
		h := hash(tokens)
		for c.seeds[h].hi > 0 {
			h++
		}
		c.seeds[h] = span{int32(lo), int32(hi)}
		lo = hi
	}
}

// find is the range of suffixes that begin with tokens, MinLength of them; it is empty if there are none.
func (c *Contamination) find(h uint64, tokens []int32) span {
	for ; ; h++ {
		s := c.seeds[h]
		if s.hi == 0 {
			return s
		}
		at := int(c.suffix[s.lo])
		if slices.Equal(c.text[at:at+len(tokens)], tokens) {
			return s
		}
	}
}

// Add looks at a training document. The order of documents does not matter. A negative number among the ids is no token: no
// match goes over it.
func (c *Contamination) Add(document []int32) {
	for i := 0; i < len(document); i++ {
		if document[i] < 0 {
			c.add(document[:i])
			document, i = document[i+1:], -1
		}
	}
	c.add(document)
}

func (c *Contamination) add(document []int32) {
	n := c.cfg.MinLength
	if len(document) < n {
		return
	}
	h := hash(document[:n])
	var before span // of the place before this one
	skipped := make([]int, 0, c.cfg.Skip)
	for j := 0; ; j++ {
		now := c.find(h, document[j:j+n])
		// Where every suffix of the range stands behind the document's token before, the matches from there hold those from here.
		if now.size() > 0 && c.narrow(before, n, document[j+n-1]).size() != now.size() {
			c.follow(now, document[j:], n, n, skipped)
		}
		before = now
		if j+n == len(document) {
			return
		}
		h = h*hashFactor + uint64(document[j+n]) + 1 - c.power*(uint64(document[j])+1)
	}
}

func (s span) size() int { return int(s.hi - s.lo) }

// narrow is the part of a range where next comes behind the first depth tokens, which all its suffixes have in common.
func (c *Contamination) narrow(s span, depth int, next int32) span {
	part := c.suffix[s.lo:s.hi]
	from := func(x int32) int {
		return sort.Search(len(part), func(k int) bool { return c.text[int(part[k])+depth] >= x })
	}
	lo, hi := from(next), len(part)
	if next < math.MaxInt32 {
		hi = from(next + 1)
	}
	return span{s.lo + int32(lo), s.lo + int32(hi)}
}

// follow goes on with the matches between document and a range of suffixes. Up to depth they are the same but for the
// places skipped; the last place where they are the same is end-1.
func (c *Contamination) follow(s span, document []int32, depth, end int, skipped []int) {
	for s.size() > 1 {
		if depth == len(document) {
			c.record(s, end, skipped)
			return
		}
		same := c.narrow(s, depth, document[depth])
		c.fork(span{s.lo, same.lo}, document, depth, end, skipped)
		c.fork(span{same.hi, s.hi}, document, depth, end, skipped)
		s = same
		depth++
		end = depth
	}
	if s.size() == 0 {
		return
	}
	text := c.text[c.suffix[s.lo]:]
	for ; depth < len(document) && text[depth] >= 0; depth++ {
		if text[depth] == document[depth] {
			end = depth + 1
		} else if skipped = append(skipped, depth); len(skipped) > c.cfg.Skip {
			break
		}
	}
	c.record(s, end, skipped)
}

// fork goes on with the suffixes that have something else than the document at depth.
func (c *Contamination) fork(s span, document []int32, depth, end int, skipped []int) {
	if len(skipped) == c.cfg.Skip {
		c.record(s, end, skipped)
		return
	}
	for s.size() > 0 {
		next := c.text[int(c.suffix[s.lo])+depth]
		group := span{s.lo, c.narrow(s, depth, next).hi}
		if next < 0 { // the sample's end
			c.record(group, end, skipped)
		} else {
			c.follow(group, document, depth+1, end, append(skipped, depth))
		}
		s.lo = group.hi
	}
}

// record notes a match of length end from the beginning of each suffix.
func (c *Contamination) record(s span, end int, skipped []int) {
	for len(skipped) > 0 && skipped[len(skipped)-1] >= end {
		skipped = skipped[:len(skipped)-1]
	}
	length := int32(end)
	for _, i := range c.suffix[s.lo:s.hi] {
		if c.exact[i] >= length {
			continue // told before, by a match that has all of it
		}
		if len(skipped) == 0 {
			c.exact[i] = length
		}
		from := 0
		for k := 0; k <= len(skipped); k++ {
			to := end
			if k < len(skipped) {
				to = skipped[k]
			}
			for t := int(i) + from; t < int(i)+to; t++ {
				c.longest[t] = max(c.longest[t], length)
			}
			from = to + 1
		}
	}
}

// Samples is the number of evaluation samples.
func (c *Contamination) Samples() int { return len(c.starts) - 1 }

// Shares is the share of contaminated tokens of each sample: those that are equal in a match longer than length. An empty
// sample has none.
func (c *Contamination) Shares(length int) []float64 {
	shares := make([]float64, c.Samples())
	for i := range shares {
		lo, hi := c.starts[i], c.starts[i+1]-1
		for _, longest := range c.longest[lo:hi] {
			if int(longest) > length {
				shares[i]++
			}
		}
		shares[i] /= max(1, float64(hi-lo))
	}
	return shares
}
