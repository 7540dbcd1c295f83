package importer

import "slices"

// waiting holds answers that wait for another answer to the same prompt, up to a limit of memory: then those that have
// waited longest are given up.
type waiting[V any] struct {
	answers map[string][]V // by the prompt's DialogID
	order   []string
	size    int
	sizes   map[string]int
	dropped func([]V)
}

const (
	maxWaiting = 64 << 20 // bytes
	waitingFor = 200      // bytes that an answer takes beside its text
)

func newWaiting[V any](dropped func([]V)) *waiting[V] {
	return &waiting[V]{answers: map[string][]V{}, sizes: map[string]int{}, dropped: dropped}
}

// set says which answers to a prompt wait, and how many bytes were added to their texts.
func (w *waiting[V]) set(prompt string, answers []V, added int) {
	if len(answers) == 0 {
		w.forget(prompt)
		return
	}
	if _, ok := w.answers[prompt]; !ok {
		w.order = append(w.order, prompt)
	}
	added += waitingFor * (len(answers) - len(w.answers[prompt]))
	w.answers[prompt] = answers
	w.size += added
	w.sizes[prompt] += added
	for len(w.order) > 1 && w.size > maxWaiting && w.order[0] != prompt {
		oldest := w.order[0]
		w.order = w.order[1:]
		w.dropped(w.answers[oldest])
		w.forget(oldest)
	}
	if len(w.order) > 2*len(w.answers)+1024 {
		w.order = slices.DeleteFunc(slices.Clone(w.order), func(prompt string) bool { return len(w.answers[prompt]) == 0 })
	}
}

func (w *waiting[V]) forget(prompt string) {
	w.size -= w.sizes[prompt]
	delete(w.answers, prompt)
	delete(w.sizes, prompt)
}

// giveUp drops all that is left.
func (w *waiting[V]) giveUp() {
	for _, answers := range w.answers {
		w.dropped(answers)
	}
	clear(w.answers)
	clear(w.sizes)
	w.order, w.size = nil, 0
}
