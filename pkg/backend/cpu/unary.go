package cpu

import (
	"math"
	"strings"

	"github.com/tame-rlhf/tame/internal/kern"
	"github.com/tame-rlhf/tame/pkg/backend"
)

// unary is the kernel of an element-wise function of one operand, or of its gradient; nil for other
// kinds.
func unary[T kern.Float](op backend.Op) backend.Kernel {
	kind, backward := derivativeOf(op.Kind)
	var p, q T // the parameters
	switch kind {
	case backend.Scale, backend.Shift:
		p = T(op.Attrs.(backend.Factor).C)
	case backend.Clamp:
		limits := op.Attrs.(backend.Limits)
		p, q = T(limits.Lo), T(limits.Hi)
	}
	if backward {
		if f := unaryDerivative(kind, p, q); f != nil {
			return unaryBackward(f)
		}
	} else if f := unaryFunc(kind, p, q); f != nil {
		return unaryForward(f)
	}
	return nil
}

// derivativeOf says whether a kind is a gradient, and of which one.
func derivativeOf(k backend.Kind) (of backend.Kind, is bool) {
	name, is := strings.CutSuffix(string(k), string(backend.Kind("").Derivative()))
	return backend.Kind(name), is
}

func unaryForward[T kern.Float](f func(T) T) backend.Kernel {
	return func(dst, in []backend.Buffer) {
		x, y := data[T](in[0]), data[T](dst[0])
		for i, v := range x {
			y[i] = f(v)
		}
	}
}

func unaryBackward[T kern.Float](f func(x, y T) T) backend.Kernel {
	return func(dst, in []backend.Buffer) {
		x, y, dy, dx := data[T](in[0]), data[T](in[1]), data[T](in[2]), data[T](dst[0])
		for i, g := range dy {
			dx[i] = 0
			if g != 0 {
				dx[i] = g * f(x[i], y[i])
			}
		}
	}
}

// unaryFunc is the function of a kind, nil if it is none.
func unaryFunc[T kern.Float](kind backend.Kind, p, q T) func(T) T {
	switch kind {
	case backend.Detach:
		return func(x T) T { return x }
	case backend.Scale:
		return func(x T) T { return p * x }
	case backend.Shift:
		return func(x T) T { return x + p }
	case backend.Square:
		return func(x T) T { return x * x }
	case backend.Sqrt:
		return func(x T) T { return T(math.Sqrt(float64(x))) }
	case backend.Abs:
		return func(x T) T { return T(math.Abs(float64(x))) }
	case backend.Clamp:
		return func(x T) T { return max(p, min(q, x)) }
	case backend.Exp:
		return func(x T) T { return T(math.Exp(float64(x))) }
	case backend.Log:
		return func(x T) T { return T(math.Log(float64(x))) }
	case backend.Tanh:
		return func(x T) T { return T(math.Tanh(float64(x))) }
	case backend.Sigmoid:
		return func(x T) T { return T(sigmoid(float64(x))) }
	case backend.LogSigmoid:
		return func(x T) T { return T(-softplus(-float64(x))) }
	case backend.Softplus:
		return func(x T) T { return T(softplus(float64(x))) }
	}
	return nil
}

// unaryDerivative is dy/dx as a function of x and y, nil for a kind that has none.
func unaryDerivative[T kern.Float](kind backend.Kind, p, q T) func(x, y T) T {
	switch kind {
	case backend.Scale:
		return func(_, _ T) T { return p }
	case backend.Shift:
		return func(_, _ T) T { return 1 }
	case backend.Square:
		return func(x, _ T) T { return 2 * x }
	case backend.Sqrt:
		return func(_, y T) T { return 0.5 / y }
	case backend.Abs:
		return func(x, _ T) T { return sign(x) }
	case backend.Clamp:
		return func(x, _ T) T { return indicator[T](x >= p && x <= q) }
	case backend.Exp:
		return func(_, y T) T { return y }
	case backend.Log:
		return func(x, _ T) T { return 1 / x }
	case backend.Tanh:
		return func(_, y T) T { return 1 - y*y }
	case backend.Sigmoid:
		return func(_, y T) T { return y * (1 - y) }
	case backend.LogSigmoid:
		return func(x, _ T) T { return T(sigmoid(-float64(x))) }
	case backend.Softplus:
		return func(x, _ T) T { return T(sigmoid(float64(x))) }
	}
	return nil
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
