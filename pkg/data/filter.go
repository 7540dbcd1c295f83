package data

import (
	"errors"
	"fmt"
	"math"
)

// LengthFilter takes rows by their size.
type LengthFilter struct {
	// Min is the least size. Default 0.
	Min int
	// Max is the greatest size. Default math.MaxInt, which lets everything through.
	Max int
	// Of is what is measured. Default WholeRow.
	Of Extent
}

// DefaultLengthFilter lets everything through.
func DefaultLengthFilter() LengthFilter { return LengthFilter{Max: math.MaxInt} }

// Validate wants a range that something can lie in.
func (f LengthFilter) Validate() error {
	var errs []error
	if f.Min < 0 {
		errs = append(errs, fmt.Errorf("data: LengthFilter.Min is %d, want at least 0", f.Min))
	}
	if f.Max < f.Min {
		errs = append(errs, fmt.Errorf("data: LengthFilter.Max is %d, less than Min, which is %d", f.Max, f.Min))
	}
	return errors.Join(errs...)
}

// Compare is 0 for a size that is taken, -1 for one that is too short, 1 for one that is too long.
func (f LengthFilter) Compare(s Size) int {
	switch n := f.Of.of(s); {
	case n < f.Min:
		return -1
	case n > f.Max:
		return 1
	}
	return 0
}
