// Package heap keeps slices as binary heaps. Those of container/heap would box each element.
package heap

// Heap is a binary heap: the first element has the least key.
type Heap[T any] []Item[T]

// Item is an element with what it is ordered by.
type Item[T any] struct {
	Key   uint64
	Value T
}

// Push adds an element.
func (h *Heap[T]) Push(key uint64, value T) {
	x := Item[T]{key, value}
	s := append(*h, x)
	i := len(s) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if key >= s[parent].Key {
			break
		}
		s[i] = s[parent]
		i = parent
	}
	s[i] = x
	*h = s
}

// Pop takes the first element of a heap that is not empty.
func (h *Heap[T]) Pop() Item[T] {
	s, end := *h, len(*h)-1
	top, last := s[0], s[end]
	i := 0
	for {
		child := 2*i + 1
		if child+1 < end && s[child+1].Key < s[child].Key {
			child++
		}
		if child >= end || s[child].Key >= last.Key {
			break
		}
		s[i] = s[child]
		i = child
	}
	s[i] = last
	*h = s[:end]
	return top
}
