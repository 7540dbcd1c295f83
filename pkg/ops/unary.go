package ops

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"

	"github.com/tame-rlhf/tame/internal/kern"
)

// unaryOp is an element-wise function with up to two numbers as parameters, in order of increasing complexity.
type unaryOp int

const (
	opDetach unaryOp = iota
	opScale
	opShift
	opSquare
	opSqrt
	opAbs
	opClamp
	opExp
	opLog
	opTanh
	opSigmoid
	opLogSigmoid
	opSoftplus
)

var unaryNames = [...]string{
	"detach", "scale", "shift", "square", "sqrt", "abs", "clamp", "exp", "log", "tanh", "sigmoid", "log sigmoid", "softplus",
}

func (b *Builder) unary(op unaryOp, x *gorgonia.Node, p, q float64) *gorgonia.Node {
	if b.err != nil {
		return nil
	}
	return b.keep(unary(op, x, p, q))
}

func unary(op unaryOp, x *gorgonia.Node, p, q float64) (*gorgonia.Node, error) {
	name := unaryNames[op]
	s, err := elementwise(name, x)
	if err != nil {
		return nil, err
	}
	key := fmt.Sprintf("%s %x %x", name, p, q)
	grad := func(_ gorgonia.Nodes, y, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		g, err := elementwise(name+" backward", x, y, dy)
		if err != nil {
			return nil, err
		}
		dx, err := g.build(key+" backward", 0, 1, x.Shape(),
			g.pick(unaryGrad[float32](op, p, q), unaryGrad[float64](op, p, q)), nil, nil)
		return gorgonia.Nodes{dx}, err
	}
	return s.build(key, 0, 1, x.Shape(),
		s.pick(unaryForward[float32](op, p, q), unaryForward[float64](op, p, q)), []bool{op != opDetach}, grad)
}

// elementwise checks operands that are all vectors of one length, or all scalars.
func elementwise(name string, xs ...*gorgonia.Node) (*sig, error) {
	s := newSig(name)
	for i, x := range xs {
		if x == nil {
			return nil, fmt.Errorf("ops: %s: operand %d is nil", name, i)
		}
		s.float(fmt.Sprintf("operand %d", i), x, xs[0].Shape()...)
	}
	return s, s.err
}

func unaryForward[T kern.Float](op unaryOp, p, q float64) kernel {
	f := unaryFunc[T](op, T(p), T(q))
	return func(dst, in []Buffer) {
		x, y := data[T](in[0]), data[T](dst[0])
		for i, v := range x {
			y[i] = f(v)
		}
	}
}

func unaryGrad[T kern.Float](op unaryOp, p, q float64) kernel {
	f := unaryDerivative[T](op, T(p), T(q))
	return func(dst, in []Buffer) {
		x, y, dy, dx := data[T](in[0]), data[T](in[1]), data[T](in[2]), data[T](dst[0])
		for i, g := range dy {
			dx[i] = 0
			if g != 0 {
				dx[i] = g * f(x[i], y[i])
			}
		}
	}
}

func unaryFunc[T kern.Float](op unaryOp, p, q T) func(T) T {
	switch op {
	case opScale:
		return func(x T) T { return p * x }
	case opShift:
		return func(x T) T { return x + p }
	case opSquare:
		return func(x T) T { return x * x }
	case opSqrt:
		return func(x T) T { return T(math.Sqrt(float64(x))) }
	case opAbs:
		return func(x T) T { return T(math.Abs(float64(x))) }
	case opClamp:
		return func(x T) T { return max(p, min(q, x)) }
	case opExp:
		return func(x T) T { return T(math.Exp(float64(x))) }
	case opLog:
		return func(x T) T { return T(math.Log(float64(x))) }
	case opTanh:
		return func(x T) T { return T(math.Tanh(float64(x))) }
	case opSigmoid:
		return func(x T) T { return T(sigmoid(float64(x))) }
	case opLogSigmoid:
		return func(x T) T { return T(-softplus(-float64(x))) }
	case opSoftplus:
		return func(x T) T { return T(softplus(float64(x))) }
	}
	return func(x T) T { return x } // opDetach
}

// unaryDerivative is dy/dx as a function of x and y.
func unaryDerivative[T kern.Float](op unaryOp, p, q T) func(x, y T) T {
	switch op {
	case opScale:
		return func(_, _ T) T { return p }
	case opShift:
		return func(_, _ T) T { return 1 }
	case opSquare:
		return func(x, _ T) T { return 2 * x }
	case opSqrt:
		return func(_, y T) T { return 0.5 / y }
	case opAbs:
		return func(x, _ T) T { return sign(x) }
	case opClamp:
		return func(x, _ T) T { return indicator[T](x >= p && x <= q) }
	case opExp:
		return func(_, y T) T { return y }
	case opLog:
		return func(x, _ T) T { return 1 / x }
	case opTanh:
		return func(_, y T) T { return 1 - y*y }
	case opSigmoid:
		return func(_, y T) T { return y * (1 - y) }
	case opLogSigmoid:
		return func(x, _ T) T { return T(sigmoid(-float64(x))) }
	case opSoftplus:
		return func(x, _ T) T { return T(sigmoid(float64(x))) }
	}
	return func(_, _ T) T { return 0 } // opDetach
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// softplus is log(1 + e^x) without overflow.
func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

func sign[T kern.Float](x T) T {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}

func indicator[T kern.Float](b bool) T {
	if b {
		return 1
	}
	return 0
}
