package ops

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/backend"
)

// unary applies an element-wise function of one operand.
func (b *Builder) unary(kind backend.Kind, attrs any, x *gorgonia.Node) *gorgonia.Node {
	s, err := elementwise(kind, attrs, x)
	if err != nil {
		return b.keep(nil, err)
	}
	s.gives(x.Shape())
	return b.keep(s.result(0, []bool{kind != backend.Detach}, func(_ gorgonia.Nodes, y, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		g, err := elementwise(kind.Derivative(), attrs, x, y, dy)
		if err != nil {
			return nil, err
		}
		g.gives(x.Shape())
		return g.grads(1)
	}))
}

// elementwise checks operands that are all vectors of one length, or all scalars.
func elementwise(kind backend.Kind, attrs any, xs ...*gorgonia.Node) (*sig, error) {
	s := newSig(kind, attrs)
	for i, x := range xs {
		if x == nil {
			return nil, fmt.Errorf("ops: %s: operand %d is nil", kind, i)
		}
		s.float(fmt.Sprintf("operand %d", i), x, xs[0].Shape()...)
	}
	return s, s.err
}

// binary applies an element-wise function of two operands.
func (b *Builder) binary(kind backend.Kind, x, y *gorgonia.Node) *gorgonia.Node {
	s, shape, err := broadcast(kind, x, y)
	if err != nil {
		return b.keep(nil, err)
	}
	diff := []bool{true, true}
	switch kind {
	case backend.Greater:
		diff = []bool{false, false}
	case backend.Where:
		diff = []bool{true, false}
	}
	s.gives(shape)
	return b.keep(s.result(0, diff, func(_ gorgonia.Nodes, _, dz *gorgonia.Node) (gorgonia.Nodes, error) {
		return binaryBackward(kind, x, y, dz, diff)
	}))
}

// broadcast checks two operands of one shape, or of which one is a scalar.
func broadcast(kind backend.Kind, x, y *gorgonia.Node) (*sig, tensor.Shape, error) {
	if x == nil || y == nil {
		return nil, nil, fmt.Errorf("ops: %s: operand is nil", kind)
	}
	shape := x.Shape()
	if len(shape) == 0 {
		shape = y.Shape()
	}
	s := newSig(kind, nil)
	for i, n := range []*gorgonia.Node{x, y} {
		want := shape
		if len(n.Shape()) == 0 {
			want = nil
		}
		s.float(fmt.Sprintf("operand %d", i), n, want...)
	}
	return s, shape, s.err
}

func binaryBackward(kind backend.Kind, x, y, dz *gorgonia.Node, diff []bool) (gorgonia.Nodes, error) {
	s, shape, err := broadcast(kind.Derivative(), x, y)
	if err != nil {
		return nil, err
	}
	s.float("dz", dz, shape...)
	s.gives(x.Shape(), y.Shape())
	grads := make(gorgonia.Nodes, 2)
	for i := range grads {
		if !diff[i] {
			continue
		}
		if grads[i], err = s.result(i, nil, nil); err != nil {
			return nil, err
		}
	}
	return grads, nil
}
