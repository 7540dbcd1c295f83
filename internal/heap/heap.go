// Package heap keeps slices as binary heaps. Those of container/heap would box each element.
package heap

// Heap is a binary heap: the first element comes before all others.
type Heap[T interface{ Before(T) bool }] []T

// Push adds an element.
func (h *Heap[T]) Push(x T) {
	s := append(*h, x)
	i := len(s) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !x.Before(s[parent]) {
			break
		}
		s[i] = s[parent]
		i = parent
	}
	s[i] = x
	*h = s
}

// Pop takes the first element of a heap that is not empty.
func (h *Heap[T]) Pop() T {
	s, end := *h, len(*h)-1
	top, last := s[0], s[end]
	i := 0
	for {
		child := 2*i + 1
		if child+1 < end && s[child+1].Before(s[child]) {
			child++
		}
		if child >= end || !s[child].Before(last) {
			break
		}
		s[i] = s[child]
		i = child
	}
	s[i] = last
	*h = s[:end]
	return top
}
