package train

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tame-rlhf/tame/pkg/data"
)

// Source hands out the items of one optimisation step after another: examples, pairs, documents.
// It belongs to one run at a time.
type Source[T any] interface {
	// Next returns the items of the next step, at least one, and the number of passes over the data
	// so far, these items included. They are valid until the next call.
	Next(ctx context.Context) (items []T, epochs float64, err error)
	// Position is the place in the data after the last Next, in a form of its own.
	Position() (json.RawMessage, error)
	// Seek goes to a Position of a source over the same data: the calls of Next that follow return
	// the same items.
	Seek(position json.RawMessage) error
}

// Epochs is a Source over items in memory: it shuffles them in each epoch and cuts them into batches
// of equal size, of which the last one of an epoch may be smaller. It does not end.
type Epochs[T any] struct {
	items []T
	size  int
	seed  uint64
	done  int // steps

	epoch int // of order
	order []int
	batch []T
}

// NewEpochs makes batches of size items, at least 1, of at least one item.
func NewEpochs[T any](items []T, size int, seed uint64) (*Epochs[T], error) {
	if size < 1 {
		return nil, fmt.Errorf("train: batches of %d items, want at least 1", size)
	}
	if len(items) == 0 {
		return nil, data.ErrEmpty
	}
	return &Epochs[T]{items: items, size: size, seed: seed}, nil
}

// Items implements Listed.
func (e *Epochs[T]) Items() []T { return e.items }

// Passes implements Counted. The number of tokens follows from the items.
func (e *Epochs[T]) Passes(steps int) (epochs float64, tokens int) {
	return float64(steps) / float64(e.Steps()), 0
}

// Steps is the number of batches of one epoch.
func (e *Epochs[T]) Steps() int { return (len(e.items) + e.size - 1) / e.size }

// Next implements Source. Within a batch the items are in the order of the data.
func (e *Epochs[T]) Next(context.Context) ([]T, float64, error) {
	epoch, at := e.done/e.Steps(), e.done%e.Steps()
	if e.order == nil || e.epoch != epoch {
		e.order, e.epoch = data.Shuffled(len(e.items), e.seed, epoch), epoch
	}
	e.batch = e.batch[:0]
	picked := e.order[at*e.size : min((at+1)*e.size, len(e.order))]
	for _, i := range slices.Sorted(slices.Values(picked)) {
		e.batch = append(e.batch, e.items[i])
	}
	e.done++
	return e.batch, float64(e.done) / float64(e.Steps()), nil
}

// Position implements Source: the number of steps.
func (e *Epochs[T]) Position() (json.RawMessage, error) { return json.Marshal(e.done) }

// Seek implements Source.
func (e *Epochs[T]) Seek(position json.RawMessage) error {
	var done int
	if err := json.Unmarshal(position, &done); err != nil || done < 0 {
		return fmt.Errorf("train: %s is not a position in epochs, want a number of steps", position)
	}
	e.done = done
	return nil
}
