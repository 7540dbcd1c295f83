package train

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tame-rlhf/tame/pkg/data"
)

// errNothingToLearn is ErrNoTokens of one item.
var errNothingToLearn = fmt.Errorf("no token after the first has a weight above 0, so there is nothing to learn from: leave it out (%w)", ErrNoTokens)

const maxErrors = 10 // of one kind are enough to see what is wrong

// checkItems refuses what training could not use, before the first step: items that do not fit,
// that Add and Lengths disagree about, or that have no token to learn from.
func (f *fit[T]) checkItems() error {
	var errs []error
	scratch := data.NewRagged(f.MicroTokens, f.MicroSegments)
	check := func(name string, items []T) {
		bad := 0
		for i, item := range items {
			if err := f.checkItem(scratch, item); err != nil {
				if bad++; bad <= maxErrors {
					errs = append(errs, fmt.Errorf("%s %d: %w", name, i, err))
				}
			}
		}
		if bad > maxErrors {
			errs = append(errs, fmt.Errorf("and %d more", bad-maxErrors))
		}
	}
	if listed, ok := f.Source.(Listed[T]); ok {
		check("item", listed.Items())
	}
	check("held-out item", f.HeldOut)
	return errors.Join(errs...)
}

// checkItem checks one item, in a micro-batch of its own.
func (f *fit[T]) checkItem(r *data.Ragged, item T) error {
	lengths := f.Lengths(item)
	if len(lengths) == 0 {
		return errors.New("it has no segment by Lengths")
	}
	if _, err := data.PackGroups([][]int{lengths}, f.MicroTokens, f.MicroSegments); err != nil {
		var long *data.TooLongError
		if errors.As(err, &long) {
			alone := *long
			alone.Index = -1
			return &alone
		}
		return err
	}
	r.Reset()
	if err := f.Add(r, item); err != nil {
		return err
	}
	if got := segmentLengths(r); !slices.Equal(got, lengths) {
		return fmt.Errorf("its segments have %d tokens by Add and %d by Lengths: they have to agree", got, lengths)
	}
	if err := f.step.in.Check(r); err != nil {
		return err
	}
	if f.step.tokens && r.Counted() == 0 {
		return errNothingToLearn
	}
	return nil
}

func segmentLengths(r *data.Ragged) []int {
	_, s := r.Used()
	lengths := make([]int, s)
	for seg := range lengths {
		lo, hi := r.Span(seg)
		lengths[seg] = hi - lo
	}
	return lengths
}
