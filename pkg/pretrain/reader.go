package pretrain

import "github.com/tame-rlhf/tame/pkg/data"

// reader hands out windows in an order that is shuffled anew in each epoch.
type reader struct {
	windows [][]int32
	seed    uint64
	epoch   int
	order   []int
	at      int // place in order
}

// take gives windows with at least that many tokens in all, and their lengths.
func (r *reader) take(tokens int) (picked [][]int32, lengths []int) {
	for got := 0; got < tokens; {
		if r.at == len(r.order) {
			if r.order != nil {
				r.epoch++
			}
			r.order, r.at = data.Shuffled(len(r.windows), r.seed, r.epoch), 0
		}
		w := r.windows[r.order[r.at]]
		r.at++
		picked, lengths = append(picked, w), append(lengths, len(w))
		got += len(w)
	}
	return picked, lengths
}

// epochs is the number of passes so far.
func (r *reader) epochs() float64 {
	return float64(r.epoch) + float64(r.at)/float64(max(len(r.order), 1))
}

// cut cuts documents into windows of at most size tokens. A window's last token is the next one's first, so that every
// token but a document's first is predicted exactly once; windows of a single token predict nothing and are left out.
func cut(docs [][]int32, size int) [][]int32 {
	var windows [][]int32
	for _, doc := range docs {
		for len(doc) > size {
			windows = append(windows, doc[:size])
			doc = doc[size-1:]
		}
		if len(doc) > 1 {
			windows = append(windows, doc)
		}
	}
	return windows
}

// everything marks every token as counted.
func everything(n int) []bool {
	marks := make([]bool, n)
	for i := range marks {
		marks[i] = true
	}
	return marks
}
