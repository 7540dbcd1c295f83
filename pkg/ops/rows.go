package ops

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/backend"
)

// A table of rows is the (R+2) int32 table that chooses slots, in slot order: [0] and the last element are the number r of chosen
// rows, [1+i] is the slot of row i, and r for i >= r. Operators that work row by row take it as the layout of what Gather gives: of a
// layout they read the used counts only, and these are in the same places.

// LastRows chooses the last slot of each segment. The result is (S+2) int32.
func LastRows(layout *gorgonia.Node) (*gorgonia.Node, error) {
	s := newSig(backend.LastRows, nil)
	size := s.ints("layout", layout, -1)[0]
	s.gives(tensor.Shape{size})
	return s.table()
}

// CountedRows chooses the used slots where mask, (N), is not 0. The result is (N+2) int32.
func CountedRows(mask, layout *gorgonia.Node) (*gorgonia.Node, error) {
	s := newSig(backend.CountedRows, nil)
	n := s.float("mask", mask, -1)[0]
	s.ints("layout", layout, -1)
	s.gives(tensor.Shape{n + 2})
	return s.table()
}

// Gather takes the chosen rows out of x, (N, C), where rows is a table of R. The result is (R, C); what comes after the chosen rows is
// exactly 0. With a table as their layout the operators that work row by row compute those rows alone, and with the same bits.
func Gather(x, rows *gorgonia.Node) (*gorgonia.Node, error) {
	s := newSig(backend.Gather, nil)
	nc := s.float("x", x, -1, -1)
	size := s.used("rows", rows, -1)
	s.gives(tensor.Shape{size - 2, nc[1]})
	return s.result(0, []bool{true, false}, func(_ gorgonia.Nodes, _, dout *gorgonia.Node) (gorgonia.Nodes, error) {
		dx, err := Scatter(dout, rows, nc[0])
		return gorgonia.Nodes{dx, nil}, err
	})
}

// Scatter puts the rows of x, (R, C), back into the n slots that they were chosen from. The result is (n, C), exactly 0 in other slots.
func Scatter(x, rows *gorgonia.Node, n int) (*gorgonia.Node, error) {
	s := newSig(backend.Scatter, backend.Rows{N: n})
	rc := s.perRow("x", x, -1, -1)
	s.used("rows", rows, rc[0]+2)
	s.gives(tensor.Shape{n, rc[1]})
	return s.result(0, []bool{true, false}, func(_ gorgonia.Nodes, _, dout *gorgonia.Node) (gorgonia.Nodes, error) {
		dx, err := Gather(dout, rows)
		return gorgonia.Nodes{dx, nil}, err
	})
}
