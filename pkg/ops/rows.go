package ops

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/kern"
)

// A table of rows is the (R+2) int32 table that chooses slots, in slot order: [0] and the last element are the number r of chosen
// rows, [1+i] is the slot of row i, and r for i >= r. Operators that work row by row take it as the layout of what Gather gives: of a
// layout they read the used counts only, and these are in the same places.

// LastRows chooses the last slot of each segment. The result is (S+2) int32.
func LastRows(layout *gorgonia.Node) (*gorgonia.Node, error) {
	s := newSig("last rows")
	size := s.ints("layout", layout, -1)[0]
	return s.table("last rows", size, func(dst, in []Buffer) {
		layout, rows := in[0].I32, dst[0].I32
		_, segs := used(layout)
		for i := range segs {
			rows[1+i] = int32(lastSlot(layout, i))
		}
		finish(rows, segs)
	})
}

// CountedRows chooses the used slots where mask, (N), is not 0. The result is (N+2) int32.
func CountedRows(mask, layout *gorgonia.Node) (*gorgonia.Node, error) {
	s := newSig("counted rows")
	n := s.float("mask", mask, -1)[0]
	s.ints("layout", layout, -1)
	return s.table("counted rows", n+2, s.pick(countedRows[float32], countedRows[float64]))
}

func countedRows[T kern.Float](dst, in []Buffer) {
	n, _ := used(in[1].I32)
	rows, r := dst[0].I32, 0
	for i, m := range data[T](in[0])[:n] {
		if m != 0 {
			rows[1+r] = int32(i)
			r++
		}
	}
	finish(rows, r)
}

// finish writes what a table holds beside the slots of its r rows.
func finish(rows []int32, r int) {
	rows[0] = int32(r)
	for i := 1 + r; i < len(rows); i++ {
		rows[i] = int32(r)
	}
}

// table builds an operator whose result is a table.
func (s *sig) table(key string, size int, run kernel) (*gorgonia.Node, error) {
	s.dt = tensor.Int32
	return s.build(key, 0, 1, tensor.Shape{size}, run, nil, nil)
}

// Gather takes the chosen rows out of x, (N, C), where rows is a table of R. The result is (R, C); what comes behind the chosen rows is
// exactly 0. With a table as their layout the operators that work row by row compute those rows alone, and with the same bits.
func Gather(x, rows *gorgonia.Node) (*gorgonia.Node, error) {
	s := newSig("gather")
	nc := s.float("x", x, -1, -1)
	size := s.used("rows", rows, -1)
	n, c := nc[0], nc[1]
	grad := func(_ gorgonia.Nodes, _, dout *gorgonia.Node) (gorgonia.Nodes, error) {
		dx, err := Scatter(dout, rows, n)
		return gorgonia.Nodes{dx, nil}, err
	}
	return s.build("gather", 0, 1, tensor.Shape{size - 2, c},
		s.pick(gather[float32](c), gather[float64](c)), []bool{true, false}, grad)
}

func gather[T kern.Float](c int) kernel {
	return func(dst, in []Buffer) {
		x, out := data[T](in[0]), data[T](dst[0])
		slots := chosen(in[1].I32)
		kern.Embed(out, x, slots, len(slots), c)
		clearFrom[T](dst[0], len(slots)*c)
	}
}

// Scatter puts the rows of x, (R, C), back into the n slots that they were chosen from. The result is (n, C), exactly 0 in other slots.
func Scatter(x, rows *gorgonia.Node, n int) (*gorgonia.Node, error) {
	s := newSig("scatter")
	rc := s.perRow("x", x, -1, -1)
	s.used("rows", rows, rc[0]+2)
	c := rc[1]
	grad := func(_ gorgonia.Nodes, _, dout *gorgonia.Node) (gorgonia.Nodes, error) {
		dx, err := Gather(dout, rows)
		return gorgonia.Nodes{dx, nil}, err
	}
	return s.build(fmt.Sprintf("scatter %d", n), 0, 1, tensor.Shape{n, c},
		s.pick(scatter[float32](n, c), scatter[float64](n, c)), []bool{true, false}, grad)
}

func scatter[T kern.Float](n, c int) kernel {
	return func(dst, in []Buffer) {
		slots := chosen(in[1].I32)
		kern.EmbedBackward(data[T](dst[0]), data[T](in[0]), slots, len(slots), c, n, false) // no slot is there twice
	}
}

// chosen is the slots that a table chooses. A layout is no such table, though it may have its size.
func chosen(rows []int32) []int32 {
	if rows[0] != rows[len(rows)-1] {
		panic(fmt.Sprintf("rows: want a table of LastRows or CountedRows, which begins and ends with the number of its rows; this one begins with %d and ends with %d",
			rows[0], rows[len(rows)-1]))
	}
	return rows[1 : 1+rows[0]]
}
