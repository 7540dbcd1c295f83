package losstest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Names of the columns that say what counts: 1 counts, 0 does not.
const (
	TokenMask   = "Mask"     // in Case.Token
	SegmentMask = "SegMask"  // in Case.Segment
	GroupMask   = "PairMask" // in Case.Group
)

// Case is one batch of numbers to evaluate a loss on. Columns are named after the fields of the loss inputs, such as
// LogProbs; a column that no field is named after goes into the field Extra. A field without a column is nil.
//
// Slots are packed as in training: segment 0 from slot 0, the next one after it, unused slots at the end.
type Case struct {
	// Segments is (N): the segment of each token slot, -1 in unused slots. Empty for losses without tokens.
	Segments []int32
	// Groups is (S): the group of each segment, -1 for unused segments. Segments of one group (a pair) share a
	// micro-batch. Nil means every segment is its own group.
	Groups []int32

	// Token holds the (N) columns.
	Token map[string][]float64
	// Rows holds the (N, C) columns, row by row, such as Hidden.
	Rows map[string][]float64
	// Segment holds the (S) columns.
	Segment map[string][]float64
	// Group holds the (P) columns, one number for each group, P being their length.
	Group map[string][]float64
	// Scalar holds the () inputs. Those of the fields Tokens, Weight, Seqs, Pairs and Step that are missing are filled in:
	// counted tokens, the sum of the column Weights (counted tokens without it), used segments, used groups, 0.
	Scalar map[string]float64

	// MaskOf names the masks of columns that have one of their own, such as "ChosenSafe": "ChosenKnown". The others have
	// that of their kind: Mask, SegMask or PairMask.
	MaskOf map[string]string

	// Wrt names the columns that the loss is differentiated by.
	Wrt []string
	// Float32 evaluates in float32, as training does. Default is float64. CheckGrad always takes float64.
	Float32 bool
}

// column is one column of a case, whatever its kind.
type column struct {
	name string
	axis axis
	data []float64
}

// axis says what a column has one entry (or row) for.
type axis int

const (
	perToken axis = iota
	perRow
	perSegment
	perGroup
)

// columns lists all columns in a fixed order.
func (c Case) columns() []column {
	var cols []column
	for a, m := range []map[string][]float64{perToken: c.Token, perRow: c.Rows, perSegment: c.Segment, perGroup: c.Group} {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			cols = append(cols, column{name, axis(a), m[name]})
		}
	}
	return cols
}

// sizes gives the budget: token slots, segments, groups.
func (c Case) sizes() (n, s, p int) {
	n, s = len(c.Segments), len(c.Groups)
	for _, col := range c.columns() {
		switch col.axis {
		case perToken:
			n = max(n, len(col.data))
		case perSegment:
			s = max(s, len(col.data))
		case perGroup:
			p = max(p, len(col.data))
		}
	}
	for _, seg := range c.Segments {
		s = max(s, int(seg)+1)
	}
	for _, g := range c.Groups {
		p = max(p, int(g)+1)
	}
	if c.Groups == nil {
		p = max(p, s)
	}
	return n, s, p
}

// width is the number of entries of a column for each entry of its axis.
func (c Case) width(col column) int {
	if n, _, _ := c.sizes(); col.axis == perRow && n > 0 {
		return len(col.data) / n
	}
	return 1
}

// groups gives every segment's group, -1 for unused segments.
func (c Case) groups() []int32 {
	if c.Groups != nil {
		return c.Groups
	}
	_, s, _ := c.sizes()
	used := s
	if len(c.Segments) > 0 {
		used = 0
		for _, seg := range c.Segments {
			used = max(used, int(seg)+1)
		}
	}
	groups := make([]int32, s)
	for i := range groups {
		groups[i] = int32(i)
		if i >= used {
			groups[i] = -1
		}
	}
	return groups
}

// unused says which entries of an axis are not used.
func (c Case) unused(a axis) []bool {
	n, s, p := c.sizes()
	groups := c.groups()
	var unused []bool
	switch a {
	case perToken, perRow:
		unused = make([]bool, n)
		for i, seg := range c.Segments {
			unused[i] = seg < 0
		}
	case perSegment:
		unused = make([]bool, s)
		for i, g := range groups {
			unused[i] = g < 0
		}
	case perGroup:
		unused = make([]bool, p)
		for i := range unused {
			unused[i] = !slices.Contains(groups, int32(i))
		}
	}
	return unused
}

// mask gives the name of the mask of a column and the numbers, nil without one.
func (c Case) mask(col column) (string, []float64) {
	name, own := c.MaskOf[col.name]
	if !own {
		name = [...]string{perToken: TokenMask, perRow: TokenMask, perSegment: SegmentMask, perGroup: GroupMask}[col.axis]
	}
	return name, [...]map[string][]float64{perToken: c.Token, perRow: c.Token, perSegment: c.Segment, perGroup: c.Group}[col.axis][name]
}

// isMask says whether a column is the mask of others.
func (c Case) isMask(col column) bool {
	name, _ := c.mask(column{axis: col.axis})
	return col.axis != perRow && name == col.name || slices.Contains(slices.Collect(maps.Values(c.MaskOf)), col.name)
}

// hidden says which entries of a column nothing may depend on: the unused ones and those that the mask leaves out.
func (c Case) hidden(col column) []bool {
	hidden := c.unused(col.axis)
	_, mask := c.mask(col)
	for i, m := range mask {
		hidden[i] = hidden[i] || m == 0
	}
	return hidden
}

// scalars gives the scalar inputs with the counts filled in.
func (c Case) scalars() map[string]float64 {
	all := map[string]float64{"Tokens": 0, "Seqs": 0, "Pairs": 0, "Step": 0}
	for _, m := range c.Token[TokenMask] {
		if m != 0 {
			all["Tokens"]++
		}
	}
	all["Weight"] = all["Tokens"]
	if weights, ok := c.Token["Weights"]; ok {
		all["Weight"] = 0
		for i, m := range c.Token[TokenMask] {
			if m != 0 {
				all["Weight"] += weights[i]
			}
		}
	}
	for _, g := range c.groups() {
		if g >= 0 {
			all["Seqs"]++
			all["Pairs"] = float64(g + 1)
		}
	}
	maps.Copy(all, c.Scalar)
	return all
}

// clone copies the case and its columns.
func (c Case) clone() Case {
	for _, m := range []*map[string][]float64{&c.Token, &c.Rows, &c.Segment, &c.Group} {
		copied := make(map[string][]float64, len(*m))
		for name, data := range *m {
			copied[name] = slices.Clone(data)
		}
		*m = copied
	}
	return c
}

// validate reports everything about the case that cannot be right.
func (c Case) validate() error {
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("losstest: case: "+format, args...))
	}
	n, s, p := c.sizes()
	if len(c.Segments) != n {
		fail("Segments has %d entries, the longest Token column %d", len(c.Segments), n)
	}
	if c.Groups != nil && len(c.Groups) != s {
		fail("Groups has %d entries for %d segments", len(c.Groups), s)
	}
	errs = append(errs, packed("Segments", c.Segments), packed("Groups", c.Groups))
	seen := map[string]bool{}
	want := map[axis]int{perToken: n, perSegment: s, perGroup: p}
	for _, col := range c.columns() {
		if seen[col.name] {
			fail("two columns are named %s", col.name)
		}
		seen[col.name] = true
		if col.axis == perRow {
			if n == 0 || len(col.data) == 0 || len(col.data)%n != 0 {
				fail("%s has %d entries, want rows for %d slots", col.name, len(col.data), n)
			}
		} else if len(col.data) != want[col.axis] {
			fail("%s has %d entries, want %d as the other columns of its kind", col.name, len(col.data), want[col.axis])
		}
	}
	for name := range c.Scalar {
		if seen[name] {
			fail("%s is a column and a scalar", name)
		}
	}
	for _, name := range c.Wrt {
		if !seen[name] {
			fail("Wrt names %s, which is no column", name)
		}
	}
	if n == 0 && s == 0 && p == 0 {
		fail("no columns")
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, col := range c.columns() {
		if name, mask := c.mask(col); mask == nil && c.MaskOf[col.name] != "" {
			fail("MaskOf names %s as the mask of %s, which is no column of its kind", name, col.name)
		}
		unused := c.unused(col.axis)
		for i, m := range col.data {
			if c.isMask(col) && m != 0 && unused[i] {
				fail("%s[%d] is %g in an unused entry, want 0", col.name, i, m)
			}
		}
	}
	return errors.Join(errs...)
}

// packed says whether ids count up from 0 in runs, with -1 only at the end.
func packed(what string, ids []int32) error {
	last, ended := int32(-1), false
	for i, id := range ids {
		switch {
		case id == -1 && i > 0:
			ended = true
		case ended || id < 0 || id != last && id != last+1:
			return fmt.Errorf("losstest: case: %s[%d] is %d, want runs that count up from 0, and -1 at the end only", what, i, id)
		default:
			last = id
		}
	}
	return nil
}
