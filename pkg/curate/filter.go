package curate

import (
	"fmt"
	"math"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/setting"
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
	check := setting.NewChecks("curate: LengthFilter")
	check.AtLeast("Min", f.Min, 0)
	check.That(f.Max >= f.Min, "Max", f.Max, fmt.Sprintf("at least Min, which is %d", f.Min))
	_, err := f.Of.MarshalText()
	check.Nested("Of", err)
	return check.Err()
}

// Compare is 0 for a size that is taken, -1 for one that is too short, 1 for one that is too long.
func (f LengthFilter) Compare(s data.Size) int {
	switch n := f.Of.of(s); {
	case n < f.Min:
		return -1
	case n > f.Max:
		return 1
	}
	return 0
}
