package ops

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/backend"
)

// sum adds up x where mask is not 0, or everywhere without a mask; in float64 and in slot order.
func sum(x, mask *gorgonia.Node) (*gorgonia.Node, error) {
	kind, operands := backend.Sum, []*gorgonia.Node{x}
	if mask != nil {
		kind, operands = backend.MaskedSum, append(operands, mask)
	}
	s, err := elementwise(kind, nil, operands...)
	if err != nil {
		return nil, err
	}
	diff := make([]bool, len(operands))
	diff[0] = true
	s.gives(tensor.ScalarShape())
	return s.result(0, diff, func(_ gorgonia.Nodes, _, dsum *gorgonia.Node) (gorgonia.Nodes, error) {
		g, err := elementwise(kind.Derivative(), nil, operands...)
		if err != nil {
			return nil, err
		}
		g.float("dsum", dsum)
		g.gives(x.Shape())
		return g.grads(len(operands))
	})
}

// segmentSum is the sum of the masked elements of each segment.
func segmentSum(x, mask, segments, like *gorgonia.Node) (*gorgonia.Node, error) {
	if like == nil || len(like.Shape()) != 1 {
		return nil, fmt.Errorf("ops: segment sum: like is not an (S) vector")
	}
	segs := like.Shape()[0]
	s := newSig(backend.SegmentSum, backend.Rows{N: segs})
	n := s.float("x", x, -1)[0]
	s.float("mask", mask, n)
	s.ints("segments", segments, n)
	s.gives(tensor.Shape{segs})
	return s.result(0, []bool{true, false, false}, func(_ gorgonia.Nodes, _, dsum *gorgonia.Node) (gorgonia.Nodes, error) {
		g := newSig(backend.SegmentSum.Derivative(), nil)
		g.float("mask", mask, n)
		g.ints("segments", segments, n)
		g.float("dsum", dsum, segs)
		g.gives(tensor.Shape{n})
		return g.grads(3)
	})
}

// spread gives each slot the value of its segment.
func spread(v, segments *gorgonia.Node) (*gorgonia.Node, error) {
	s := newSig(backend.Spread, nil)
	segs := s.float("v", v, -1)[0]
	n := s.ints("segments", segments, -1)[0]
	s.gives(tensor.Shape{n})
	return s.result(0, []bool{true, false}, func(_ gorgonia.Nodes, _, dout *gorgonia.Node) (gorgonia.Nodes, error) {
		g := newSig(backend.Spread.Derivative(), backend.Rows{N: segs})
		g.float("dout", dout, n)
		g.ints("segments", segments, n)
		g.gives(tensor.Shape{segs})
		return g.grads(2)
	})
}

// stride takes every step-th element.
func stride(v *gorgonia.Node, offset, step int) (*gorgonia.Node, error) {
	attrs := backend.Step{Offset: offset, By: step}
	s := newSig(backend.Stride, attrs)
	segs := s.float("v", v, -1)[0]
	if s.err != nil {
		return nil, s.err
	}
	if step < 1 || offset < 0 || offset >= step || segs%step != 0 {
		return nil, fmt.Errorf("ops: stride: offset %d and step %d do not divide %d elements", offset, step, segs)
	}
	s.gives(tensor.Shape{segs / step})
	return s.result(0, []bool{true}, func(_ gorgonia.Nodes, _, dout *gorgonia.Node) (gorgonia.Nodes, error) {
		g := newSig(backend.Stride.Derivative(), attrs)
		g.float("dout", dout, segs/step)
		g.gives(tensor.Shape{segs})
		return g.grads(1)
	})
}
