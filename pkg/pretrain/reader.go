package pretrain

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/data"
)

// windows is a train.Source over windows in memory, in an order that is shuffled again in each epoch.
type windows struct {
	all    [][]int32
	tokens int // at least so many each step
	seed   uint64

	place
	order []int // of the epoch, nil before its first window
}

// place is the position in the windows.
type place struct {
	Epoch int // complete passes before
	At    int // windows of this pass before
}

// Next implements train.Source: windows with at least w.tokens tokens in all.
func (w *windows) Next(context.Context) (picked [][]int32, epochs float64, err error) {
	for got := 0; got < w.tokens; {
		if w.At == len(w.all) {
			w.place, w.order = place{Epoch: w.Epoch + 1}, nil
		}
		if w.order == nil {
			w.order = data.Shuffled(len(w.all), w.seed, w.Epoch)
		}
		next := w.all[w.order[w.At]]
		w.At++
		picked, got = append(picked, next), got+len(next)
	}
	return picked, float64(w.Epoch) + float64(w.At)/float64(len(w.all)), nil
}

// Items implements train.Listed.
func (w *windows) Items() [][]int32 { return w.all }

// Passes implements train.Counted. A step reads some tokens more than it has to.
func (w *windows) Passes(steps int) (epochs float64, tokens int) {
	once := 0
	for _, window := range w.all {
		once += len(window)
	}
	tokens = steps * w.tokens
	return float64(tokens) / float64(once), tokens
}

// Position implements train.Source.
func (w *windows) Position() (json.RawMessage, error) { return json.Marshal(w.place) }

// Seek implements train.Source.
func (w *windows) Seek(position json.RawMessage) error {
	var to place
	if err := json.Unmarshal(position, &to); err != nil || to.Epoch < 0 || to.At < 0 || to.At > len(w.all) {
		return fmt.Errorf("pretrain: %s is not a position in %d windows", position, len(w.all))
	}
	w.place, w.order = to, nil
	return nil
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
