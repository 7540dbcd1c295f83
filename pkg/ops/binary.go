package ops

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/kern"
)

type binaryOp int

const (
	opAdd binaryOp = iota
	opSub
	opMul
	opDiv
	opMin
	opMax
	opGreater
	opWhere // x where y is not 0
)

var binaryNames = [...]string{"plus", "minus", "times", "divide", "min", "max", "greater", "where"}

func (b *Builder) binary(op binaryOp, x, y *gorgonia.Node) *gorgonia.Node {
	if b.err != nil {
		return nil
	}
	return b.keep(binary(op, x, y))
}

func binary(op binaryOp, x, y *gorgonia.Node) (*gorgonia.Node, error) {
	name := binaryNames[op]
	s, shape, err := broadcast(name, x, y)
	if err != nil {
		return nil, err
	}
	diff := []bool{true, true}
	switch op {
	case opGreater:
		diff = []bool{false, false}
	case opWhere:
		diff = []bool{true, false}
	}
	grad := func(_ gorgonia.Nodes, _, dz *gorgonia.Node) (gorgonia.Nodes, error) {
		return binaryBackward(op, x, y, dz, shape, diff)
	}
	return s.build(name, 0, 1, shape,
		s.pick(binaryForward[float32](op), binaryForward[float64](op)), diff, grad)
}

// broadcast checks two operands of one shape, or of which one is a scalar.
func broadcast(name string, x, y *gorgonia.Node) (*sig, tensor.Shape, error) {
	if x == nil || y == nil {
		return nil, nil, fmt.Errorf("ops: %s: operand is nil", name)
	}
	shape := x.Shape()
	if len(shape) == 0 {
		shape = y.Shape()
	}
	s := newSig(name)
	for i, n := range []*gorgonia.Node{x, y} {
		want := shape
		if len(n.Shape()) == 0 {
			want = nil
		}
		s.float(fmt.Sprintf("operand %d", i), n, want...)
	}
	return s, shape, s.err
}

func binaryBackward(op binaryOp, x, y, dz *gorgonia.Node, shape tensor.Shape, diff []bool) (gorgonia.Nodes, error) {
	s, _, err := broadcast(binaryNames[op]+" backward", x, y)
	if err != nil {
		return nil, err
	}
	s.float("dz", dz, shape...)
	run := s.pick(binaryGrad[float32](op), binaryGrad[float64](op))
	grads := make(gorgonia.Nodes, 2)
	for i, n := range []*gorgonia.Node{x, y} {
		if !diff[i] {
			continue
		}
		if grads[i], err = s.build(binaryNames[op]+" backward", i, 2, n.Shape(), run, nil, nil); err != nil {
			return nil, err
		}
	}
	return grads, nil
}

// at is element i of a vector, or the scalar.
func at[T kern.Float](x []T, i int) T {
	if len(x) == 1 {
		return x[0]
	}
	return x[i]
}

func binaryForward[T kern.Float](op binaryOp) kernel {
	f := binaryFunc[T](op)
	return func(dst, in []Buffer) {
		x, y, z := data[T](in[0]), data[T](in[1]), data[T](dst[0])
		for i := range z {
			z[i] = f(at(x, i), at(y, i))
		}
	}
}

func binaryGrad[T kern.Float](op binaryOp) kernel {
	f := binaryDerivative[T](op)
	return func(dst, in []Buffer) {
		x, y, dz := data[T](in[0]), data[T](in[1]), data[T](in[2])
		dx, dy := data[T](dst[0]), data[T](dst[1])
		clear(dx)
		clear(dy)
		for i, g := range dz {
			if g == 0 {
				continue
			}
			fx, fy := f(at(x, i), at(y, i))
			accumulate(dx, i, g*fx)
			accumulate(dy, i, g*fy)
		}
	}
}

// accumulate adds to element i, or to the scalar that was broadcast; nothing where the gradient is not wanted.
func accumulate[T kern.Float](d []T, i int, g T) {
	switch len(d) {
	case 0:
	case 1:
		d[0] += g
	default:
		d[i] += g
	}
}

func binaryFunc[T kern.Float](op binaryOp) func(x, y T) T {
	switch op {
	case opAdd:
		return func(x, y T) T { return x + y }
	case opSub:
		return func(x, y T) T { return x - y }
	case opMul:
		return func(x, y T) T { return x * y }
	case opDiv:
		return func(x, y T) T { return x / y }
	case opMin:
		return func(x, y T) T { return min(x, y) }
	case opMax:
		return func(x, y T) T { return max(x, y) }
	case opGreater:
		return func(x, y T) T { return indicator[T](x > y) }
	}
	return func(x, y T) T { // opWhere
		if y != 0 {
			return x
		}
		return 0
	}
}

// binaryDerivative is dz/dx and dz/dy; a tie of Min or Max belongs to x.
func binaryDerivative[T kern.Float](op binaryOp) func(x, y T) (fx, fy T) {
	switch op {
	case opAdd:
		return func(_, _ T) (T, T) { return 1, 1 }
	case opSub:
		return func(_, _ T) (T, T) { return 1, -1 }
	case opMul:
		return func(x, y T) (T, T) { return y, x }
	case opDiv:
		return func(x, y T) (T, T) { return 1 / y, -x / (y * y) }
	case opMin:
		return func(x, y T) (T, T) { return indicator[T](x <= y), indicator[T](y < x) }
	case opMax:
		return func(x, y T) (T, T) { return indicator[T](x >= y), indicator[T](y > x) }
	case opWhere:
		return func(_, y T) (T, T) { return indicator[T](y != 0), 0 }
	}
	return func(_, _ T) (T, T) { return 0, 0 } // opGreater
}
