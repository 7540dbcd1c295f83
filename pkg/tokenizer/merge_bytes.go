package tokenizer

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"slices"

	"github.com/tame-rlhf/tame/pkg/setting"
)

// mergeBytes adds merges to a model that has the bytes, until its vocabulary has the size. Each step takes the pair of neighbours that occurs
// most often, of equal ones that of the smaller ids (left, then right), and makes it one token wherever it occurs.
//
// Counts are those of Hugging Face's trainer: "aaa" has the pair of a and a twice, and the pair that has been merged keeps its count. A text
// that two pairs make is one token with two merges. Which occurrences such a later merge finds is up to the order of a hash table there.
func (m *huggingModel) mergeBytes(ctx context.Context, words []word, size int) error {
	t := newByteTrainer(m, words)
	for len(m.Vocab) < size {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		p := t.best()
		if p == nil {
			return &setting.FieldError{Owner: byteConfigName, Path: "VocabSize", Value: size, Want: fmt.Sprintf(
				"at most %d, the tokens that the text gives, or more text", len(m.Vocab))}
		}
		left, right := t.texts[p.pair[0]], t.texts[p.pair[1]]
		id, known := m.Vocab[left+right]
		if !known {
			id = int64(len(m.Vocab))
			m.Vocab[left+right] = id
			t.texts = append(t.texts, left+right)
		}
		m.merges = append(m.merges, huggingMerge{left, right})
		t.merge(p, int32(id))
	}
	return nil
}

// bytePair is two ids, the left one first.
type bytePair [2]int32

// byteTrainer holds the words as ids.
type byteTrainer struct {
	texts  []string // of each id
	words  [][]int32
	counts []int64 // of each word

	pairs map[bytePair]int64 // occurrences
	fresh map[bytePair][]int32
	queue mergeQueue[queuedBytes]
}

// queuedBytes is a pair that may merge in some words, with the count that it had when it was queued.
type queuedBytes struct {
	pair  bytePair
	count int64
	at    []int32 // words
}

// before says which of two pairs is merged first.
func (a queuedBytes) before(b queuedBytes) bool {
	return cmp.Or(cmp.Compare(b.count, a.count), slices.Compare(a.pair[:], b.pair[:])) < 0
}

func newByteTrainer(m *huggingModel, words []word) *byteTrainer {
	t := &byteTrainer{texts: make([]string, len(m.Vocab)), pairs: make(map[bytePair]int64), fresh: make(map[bytePair][]int32)}
	for text, id := range m.Vocab {
		t.texts[id] = text
	}
	var ids [256]int32
	for b, r := range byteChars {
		ids[b] = int32(m.Vocab[string(r)])
	}
	for n, w := range words {
		symbols := make([]int32, len(w.text))
		for i := range len(w.text) {
			symbols[i] = ids[w.text[i]]
		}
		t.words, t.counts = append(t.words, symbols), append(t.counts, w.count)
		for i := range len(symbols) - 1 {
			t.add(bytePair{symbols[i], symbols[i+1]}, int32(n))
		}
	}
	t.enqueue()
	return t
}

// add counts an occurrence of a pair in a word, drop takes one back.
func (t *byteTrainer) add(p bytePair, word int32) {
	t.pairs[p] += t.counts[word]
	if at := t.fresh[p]; len(at) == 0 || at[len(at)-1] != word {
		t.fresh[p] = append(at, word)
	}
}

func (t *byteTrainer) drop(p bytePair, word int32) { t.pairs[p] -= t.counts[word] }

// enqueue queues the pairs that words have gained.
func (t *byteTrainer) enqueue() {
	for p, at := range t.fresh {
		if count := t.pairs[p]; count > 0 {
			heap.Push(&t.queue, queuedBytes{p, count, at})
		}
	}
	clear(t.fresh)
}

// best takes the next pair to merge off the queue, nil if no pair is left.
func (t *byteTrainer) best() *queuedBytes {
	for len(t.queue) > 0 {
		top := heap.Pop(&t.queue).(queuedBytes)
		count := t.pairs[top.pair]
		if count < 1 {
			continue
		}
		if top.count == count {
			return &top
		}
		top.count = count // it has lost occurrences since, or gained some
		heap.Push(&t.queue, top)
	}
	return nil
}

// merge makes a pair one token in the words that have it.
func (t *byteTrainer) merge(p *queuedBytes, id int32) {
	for _, n := range p.at {
		s := t.words[n]
		for i := 0; i+1 < len(s); i++ {
			if s[i] != p.pair[0] || s[i+1] != p.pair[1] {
				continue
			}
			if i > 0 {
				t.drop(bytePair{s[i-1], s[i]}, n)
				t.add(bytePair{s[i-1], id}, n)
			}
			if i+2 < len(s) {
				t.drop(bytePair{s[i+1], s[i+2]}, n)
				t.add(bytePair{id, s[i+2]}, n)
			}
			s[i] = id
			s = slices.Delete(s, i+1, i+2)
		}
		t.words[n] = s
	}
	t.enqueue()
}
