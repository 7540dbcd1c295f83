package tokenizer

import (
	"container/heap"
	"context"
	"fmt"
	"math"
	"unicode/utf8"
)

// findMerges returns the texts of up to n merges in order.
//
// Each step takes the pair of neighbouring symbols that occurs most often, the shorter text on a tie, then the one that
// sorts first, and makes it one symbol wherever it occurs. A pair whose text has been made in another way before is
// left alone for good, as SentencePiece does.
func findMerges(ctx context.Context, words []word, chars []rune, n int, cfg TrainConfig) ([]string, error) {
	t, err := newTrainer(words, chars, cfg)
	if err != nil {
		return nil, err
	}
	var merged []string
	seen := make(map[string]bool)
	for len(merged) < n {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		p := t.best()
		if p == nil {
			break
		}
		if seen[p.text] {
			continue
		}
		seen[p.text] = true
		merged = append(merged, p.text)
		t.merge(p)
	}
	return merged, nil
}

// pair is two neighbouring symbols that may become one.
type pair struct {
	left, right int32
	text        string
	chars       int     // length of text in characters
	order       int     // when it was first seen; decides between equal texts made in different ways
	count       int64   // occurrences
	at          []int32 // where the left symbol is, ascending; some are stale
	touched     bool    // in trainer.touched
}

// trainer holds all words one after the other as linked symbols.
type trainer struct {
	rules    pieceRules
	overlaps bool // count "aa" twice in "aaa"

	texts []string // of each symbol: the characters, then the merges
	sym   []int32  // symbol at a place, none if it has no piece or was merged into one before
	next  []int32  // place of the next symbol of the word, none at its end
	prev  []int32
	word  []int32 // the word at a place
	words []word
	skip  []bool // the pair at a place overlaps with the one before and is not counted

	pairs   map[[2]int32]*pair // nil for pairs that may not become a piece
	numSeen int
	queue   mergeQueue[queued] // counts in it may be too high, never too low
	touched []*pair            // gained occurrences in this step
}

func newTrainer(words []word, chars []rune, cfg TrainConfig) (*trainer, error) {
	t := &trainer{rules: newPieceRules(cfg), overlaps: cfg.CountOverlaps, words: words, pairs: make(map[[2]int32]*pair)}
	symbolOf := make(map[rune]int32, len(chars))
	for i, r := range chars {
		symbolOf[r] = int32(i)
		t.texts = append(t.texts, string(r))
	}
	for n, w := range words {
		switch {
		case w.count > math.MaxInt64>>8:
			return nil, fmt.Errorf("the word %.20q occurs too often to count", w.text)
		case len(t.sym)+len(w.text) > math.MaxInt32:
			return nil, fmt.Errorf("the words have more than %d characters together; lower MaxWords", math.MaxInt32)
		}
		first := len(t.sym)
		for _, r := range w.text {
			id, ok := symbolOf[r]
			if !ok {
				id = none
			}
			i := int32(len(t.sym))
			t.sym = append(t.sym, id)
			t.prev = append(t.prev, i-1)
			t.next = append(t.next, i+1)
			t.word = append(t.word, int32(n))
		}
		t.prev[first], t.next[len(t.next)-1] = none, none
	}
	t.skip = make([]bool, len(t.sym))
	for i := range t.sym {
		t.add(int32(i))
	}
	t.requeue()
	return t, nil
}

// pairAt returns the pair of the symbol at place i with the next one, nil if they cannot be merged.
func (t *trainer) pairAt(i int32) *pair {
	if i == none || t.next[i] == none {
		return nil
	}
	left, right := t.sym[i], t.sym[t.next[i]]
	if left == none || right == none {
		return nil
	}
	key := [2]int32{left, right}
	p, known := t.pairs[key]
	if !known {
		if text := t.texts[left] + t.texts[right]; t.rules.allow(text) {
			p = &pair{left: left, right: right, text: text, chars: utf8.RuneCountInString(text), order: t.numSeen}
			t.numSeen++
		}
		t.pairs[key] = p
	}
	return p
}

// add counts the pair at place i, drop takes it back.
func (t *trainer) add(i int32) {
	p := t.pairAt(i)
	if p == nil {
		return
	}
	t.skip[i] = false
	p.count += t.words[t.word[i]].count
	p.at = append(p.at, i)
	if !p.touched {
		p.touched = true
		t.touched = append(t.touched, p)
	}
}

func (t *trainer) drop(i int32) {
	if p := t.pairAt(i); p != nil && !t.skip[i] {
		p.count -= t.words[t.word[i]].count
	}
}

// merge makes p one symbol wherever it occurs.
func (t *trainer) merge(p *pair) {
	id := int32(len(t.texts))
	t.texts = append(t.texts, p.text)
	at := p.at
	p.at = nil
	for _, i := range at {
		j := t.next[i]
		if t.sym[i] != p.left || j == none || t.sym[j] != p.right {
			continue // merged with another neighbour since, or in this very loop, as in "aaa"
		}
		t.drop(t.prev[i])
		t.drop(j)
		t.sym[i], t.sym[j] = id, none
		t.next[i] = t.next[j]
		if t.next[i] != none {
			t.prev[t.next[i]] = i
		}
		t.add(t.prev[i])
		t.add(i)
	}
	t.requeue()
}

// requeue puts the pairs of this step into the queue.
func (t *trainer) requeue() {
	for _, p := range t.touched {
		p.touched = false
		if p.left == p.right && !t.overlaps {
			t.dropOverlaps(p)
		}
		if p.count > 0 {
			heap.Push(&t.queue, queued{p, p.count})
		}
	}
	t.touched = t.touched[:0]
}

// dropOverlaps forgets every occurrence of p that begins inside the one before: "aaa" holds "aa" once. As in
// SentencePiece they stay forgotten even if the one before is merged with something else later.
func (t *trainer) dropOverlaps(p *pair) {
	kept := p.at[:0]
	end := int32(none) // place of the right symbol of the last occurrence kept
	for _, i := range p.at {
		if i == end {
			p.count -= t.words[t.word[i]].count
			t.skip[i] = true
			continue
		}
		kept = append(kept, i)
		end = t.next[i]
	}
	p.at = kept
}

// best takes the next pair to merge off the queue, nil if there is none.
func (t *trainer) best() *pair {
	for len(t.queue) > 0 {
		q := heap.Pop(&t.queue).(queued)
		if q.count == q.pair.count {
			return q.pair
		}
		if q.pair.count > 0 { // it has lost occurrences since
			heap.Push(&t.queue, queued{q.pair, q.pair.count})
		}
	}
	return nil
}

// queued is a pair with the count it had when it entered the queue.
type queued struct {
	pair  *pair
	count int64
}

// before says which of two pairs is merged first.
func (a queued) before(b queued) bool {
	switch {
	case a.count != b.count:
		return a.count > b.count
	case a.pair.chars != b.pair.chars:
		return a.pair.chars < b.pair.chars
	case a.pair.text != b.pair.text:
		return a.pair.text < b.pair.text
	}
	return a.pair.order < b.pair.order
}

// mergeQueue is a heap for container/heap, the first pair to merge on top.
type mergeQueue[T mergeOrder[T]] []T

// mergeOrder says which of two pairs is merged first.
type mergeOrder[T any] interface{ before(T) bool }

func (q mergeQueue[T]) Len() int           { return len(q) }
func (q mergeQueue[T]) Less(i, j int) bool { return q[i].before(q[j]) }
func (q mergeQueue[T]) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *mergeQueue[T]) Push(x any)        { *q = append(*q, x.(T)) }
func (q *mergeQueue[T]) Pop() any {
	last := len(*q) - 1
	x := (*q)[last]
	*q = (*q)[:last]
	return x
}
