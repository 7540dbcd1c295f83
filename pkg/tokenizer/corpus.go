package tokenizer

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
)

// boundary stands in a word where no piece may be. A tab never becomes part of a piece, so it can serve.
const boundary = "\t"

// word is a word of the text, with its leading "▁", and how often it occurs.
type word struct {
	text  string
	count int64
}

// countWords cuts the text into lines, normalises these and counts their words, the most frequent first.
func countWords(ctx context.Context, text iter.Seq[string], meta []piece, sp spec) ([]word, error) {
	norm, err := newNormalizer(sp)
	if err != nil {
		return nil, err
	}
	var names prefixMatcher // of pieces that are there already, and must not be learnt again
	for _, p := range meta {
		names.add(p.text)
	}
	counts := make(map[string]*int64)
	n := 0
	for t := range text {
		for line := range strings.SplitSeq(t, "\n") {
			if n++; n%1024 == 0 && ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			line = names.replaceAll(norm.apply(line), boundary)
			for line != "" {
				end := wordEnd(line)
				if c := counts[line[:end]]; c != nil {
					*c++
				} else {
					one := int64(1)
					counts[strings.Clone(line[:end])] = &one
				}
				line = line[end:]
			}
		}
	}
	if len(counts) == 0 {
		return nil, errors.New("the text is empty")
	}
	words := make([]word, 0, len(counts))
	for text, c := range counts {
		words = append(words, word{text, *c})
	}
	slices.SortFunc(words, func(a, b word) int {
		return cmp.Or(cmp.Compare(b.count, a.count), strings.Compare(a.text, b.text))
	})
	return words, context.Cause(ctx)
}

// replaceAll replaces the texts wherever they occur in s, from left to right, the longest first.
func (m *prefixMatcher) replaceAll(s, by string) string {
	var b strings.Builder
	done := 0
	for i := 0; i < len(s); {
		n := m.match(s[i:])
		if n == 0 {
			i++ // texts begin with whole characters, so none begins inside one
			continue
		}
		b.WriteString(s[done:i])
		b.WriteString(by)
		i += n
		done = i
	}
	if done == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
}

// alphabet returns the most frequent characters until their share of the text reaches coverage, and "▁" in any case:
// without it no text could be decoded to what it was.
func alphabet(words []word, coverage float64) []rune {
	counts := make(map[rune]int64)
	total := int64(0)
	for _, w := range words {
		for _, r := range w.text {
			if r != 0 {
				counts[r] += w.count
				total += w.count
			}
		}
	}
	all := make([]rune, 0, len(counts))
	for r := range counts {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b rune) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	var chars []rune
	covered := int64(0)
	for _, r := range all {
		enough := float64(covered)/float64(total) >= coverage
		covered += counts[r]
		if string(r) != boundary && (!enough || string(r) == space) {
			chars = append(chars, r)
		}
	}
	return chars
}
