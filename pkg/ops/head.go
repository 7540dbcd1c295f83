package ops

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/kern"
)

// ScalarHead is h wᵀ + b for h of (N, C), w of (1, C) and b of (1): one value per row, (N), exactly 0 in unused rows.
func ScalarHead(h, w, b, layout *gorgonia.Node) (*gorgonia.Node, error) {
	s := newSig("scalar head")
	rc := s.perRow("h", h, -1, -1)
	rows, c := rc[0], rc[1]
	s.float("w", w, 1, c)
	s.float("b", b, 1)
	s.used("layout", layout, -1)
	grad := func(_ gorgonia.Nodes, _, dout *gorgonia.Node) (gorgonia.Nodes, error) {
		return scalarHeadBackward(h, w, dout, layout)
	}
	return s.build("scalar head", 0, 1, tensor.Shape{rows},
		s.pick(scalarHeadForward[float32](c), scalarHeadForward[float64](c)), []bool{true, true, true, false}, grad)
}

func scalarHeadForward[T kern.Float](c int) kernel {
	return func(dst, in []Buffer) {
		h, w, b, out := data[T](in[0]), data[T](in[1]), data[T](in[2]), data[T](dst[0])
		rows, _ := used(in[3].I32)
		for i := range rows {
			out[i] = kern.Dot(h[i*c:(i+1)*c], w) + b[0]
		}
		clearFrom[T](dst[0], rows)
	}
}

func scalarHeadBackward(h, w, dout, layout *gorgonia.Node) (gorgonia.Nodes, error) {
	s := newSig("scalar head backward")
	rc := s.perRow("h", h, -1, -1)
	rows, c := rc[0], rc[1]
	s.float("w", w, 1, c)
	s.perRow("dout", dout, rows)
	s.used("layout", layout, -1)
	key, run := "scalar head backward", s.pick(scalarHeadGrad[float32](c), scalarHeadGrad[float64](c))
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
func scalarHeadGrad[T kern.Float](c int) kernel {
	return func(dst, in []Buffer) {
		h, w, dout := data[T](in[0]), data[T](in[1]), data[T](in[2])
		dh, dw, db := data[T](dst[0]), data[T](dst[1]), data[T](dst[2])
		rows, _ := used(in[3].I32)
		if dh != nil {
			clear(dh[:rows*c])
			clearFrom[T](dst[0], rows*c)
		}
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
