package ops

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/kern"
)

// TakeRows takes the row of each segment's last token out of h, (N, C). The result is (S, C): where a reward model
// reads its score.
func TakeRows(h, layout *gorgonia.Node) (*gorgonia.Node, error) {
	s := newSig("take rows")
	nc := s.float("h", h, -1, -1)
	segs := s.ints("layout", layout, -1)[0] - 2
	c := nc[1]
	grad := func(_ gorgonia.Nodes, _, dout *gorgonia.Node) (gorgonia.Nodes, error) {
		b := newSig("take rows backward")
		b.float("dout", dout, segs, c)
		b.ints("layout", layout, -1)
		dh, err := b.build("take rows backward", 0, 1, tensor.Shape{nc[0], c},
			b.pick(takeRowsGrad[float32](c), takeRowsGrad[float64](c)), nil, nil)
		return gorgonia.Nodes{dh, nil}, err
	}
	return s.build("take rows", 0, 1, tensor.Shape{segs, c},
		s.pick(takeRowsForward[float32](c), takeRowsForward[float64](c)), []bool{true, false}, grad)
}

func takeRowsForward[T kern.Float](c int) kernel {
	return func(dst, in []Buffer) {
		layout := in[1].I32
		_, s := used(layout)
		h, out := data[T](in[0]), data[T](dst[0])
		for i := range s {
			t := lastSlot(layout, i)
			copy(out[i*c:(i+1)*c], h[t*c:(t+1)*c])
		}
		clearFrom(out, s*c)
	}
}

func takeRowsGrad[T kern.Float](c int) kernel {
	return func(dst, in []Buffer) {
		layout := in[1].I32
		_, s := used(layout)
		dout, dh := data[T](in[0]), data[T](dst[0])
		clear(dh)
		for i := range s {
			t := lastSlot(layout, i)
			copy(dh[t*c:(t+1)*c], dout[i*c:(i+1)*c])
		}
	}
}

// ScalarHead is h wᵀ + b for h of (N, C) or (S, C), w of (1, C) and b of (1): one value per row, exactly 0 in unused
// rows. perSegment says whether the rows are segments, as TakeRows gives them, or token slots.
func ScalarHead(h, w, b, layout *gorgonia.Node, perSegment bool) (*gorgonia.Node, error) {
	s := newSig("scalar head")
	rc := s.float("h", h, -1, -1)
	rows, c := rc[0], rc[1]
	s.float("w", w, 1, c)
	s.float("b", b, 1)
	segs := s.ints("layout", layout, -1)[0] - 2
	key := "scalar head per slot"
	if perSegment {
		key = "scalar head per segment"
		if s.err == nil && rows != segs {
			s.err = &ShapeError{Op: "scalar head", Arg: "h", Want: describe([]int{segs, c}, s.dt), Got: h.Shape(), Of: s.dt.String()}
		}
	}
	grad := func(_ gorgonia.Nodes, _, dout *gorgonia.Node) (gorgonia.Nodes, error) {
		return scalarHeadBackward(h, w, dout, layout, perSegment)
	}
	return s.build(key, 0, 1, tensor.Shape{rows},
		s.pick(scalarHeadForward[float32](c, perSegment), scalarHeadForward[float64](c, perSegment)),
		[]bool{true, true, true, false}, grad)
}

func usedRows(layout []int32, perSegment bool) int {
	n, s := used(layout)
	if perSegment {
		return s
	}
	return n
}

func scalarHeadForward[T kern.Float](c int, perSegment bool) kernel {
	return func(dst, in []Buffer) {
		h, w, b, out := data[T](in[0]), data[T](in[1]), data[T](in[2]), data[T](dst[0])
		rows := usedRows(in[3].I32, perSegment)
		for i := range rows {
			out[i] = kern.Dot(h[i*c:(i+1)*c], w) + b[0]
		}
		clearFrom(out, rows)
	}
}

func scalarHeadBackward(h, w, dout, layout *gorgonia.Node, perSegment bool) (gorgonia.Nodes, error) {
	s := newSig("scalar head backward")
	rc := s.float("h", h, -1, -1)
	rows, c := rc[0], rc[1]
	s.float("w", w, 1, c)
	s.float("dout", dout, rows)
	s.ints("layout", layout, -1)
	key := "scalar head backward per slot"
	if perSegment {
		key = "scalar head backward per segment"
	}
	run := s.pick(scalarHeadGrad[float32](c, perSegment), scalarHeadGrad[float64](c, perSegment))
	shapes := []tensor.Shape{{rows, c}, {1, c}, {1}}
	grads := make(gorgonia.Nodes, 4)
	var err error
	if grads[0], err = s.build(key, 0, len(shapes), shapes[0], run, nil, nil); err != nil {
		return nil, err
	}
	for i := 1; i < len(shapes); i++ {
		if grads[i], err = s.buildAdder(key, i, len(shapes), shapes[i], run); err != nil {
			return nil, err
		}
	}
	return grads, nil
}

// A row whose incoming gradient is exactly 0 contributes nothing, whatever its hidden state holds.
func scalarHeadGrad[T kern.Float](c int, perSegment bool) kernel {
	return func(dst, in []Buffer) {
		h, w, dout := data[T](in[0]), data[T](in[1]), data[T](in[2])
		dh, dw, db := data[T](dst[0]), data[T](dst[1]), data[T](dst[2])
		rows := usedRows(in[3].I32, perSegment)
		clear(dh)
		if !dst[1].Add {
			clear(dw)
		}
		if !dst[2].Add {
			clear(db)
		}
		for i := range rows {
			g := dout[i]
			if g == 0 {
				continue
			}
			if dh != nil {
				kern.Axpy(dh[i*c:(i+1)*c], g, w)
			}
			if dw != nil {
				kern.Axpy(dw, g, h[i*c:(i+1)*c])
			}
			if db != nil {
				db[0] += g
			}
		}
	}
}
