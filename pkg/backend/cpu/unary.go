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
	f, df := unaryFunc(kind, p, q)
	switch {
	case !backward && f != nil:
		return unaryForward(f)
	case backward && df != nil:
		return unaryBackward(df)
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

// unaryFunc is the function of a kind, and dy/dx as a function of x and y; nil for a kind that has
// none.
func unaryFunc[T kern.Float](kind backend.Kind, p, q T) (f func(T) T, df func(x, y T) T) {
	switch kind {
	case backend.Detach:
		f = func(x T) T { return x }
	case backend.Scale:
		f = func(x T) T { return p * x }
		df = func(_, _ T) T { return p }
	case backend.Shift:
		f = func(x T) T { return x + p }
		df = func(_, _ T) T { return 1 }
	case backend.Square:
		f = func(x T) T { return x * x }
		df = func(x, _ T) T { return 2 * x }
	case backend.Sqrt:
		f = func(x T) T { return T(math.Sqrt(float64(x))) }
		df = func(_, y T) T { return 0.5 / y }
	case backend.Abs:
		f = func(x T) T { return T(math.Abs(float64(x))) }
		df = func(x, _ T) T { return sign(x) }
	case backend.Clamp:
		f = func(x T) T { return max(p, min(q, x)) }
		df = func(x, _ T) T { return indicator[T](x >= p && x <= q) }
	case backend.Exp:
		f = func(x T) T { return T(math.Exp(float64(x))) }
		df = func(_, y T) T { return y }
	case backend.Log:
		f = func(x T) T { return T(math.Log(float64(x))) }
		df = func(x, _ T) T { return 1 / x }
	case backend.Tanh:
		f = func(x T) T { return T(math.Tanh(float64(x))) }
		df = func(_, y T) T { return 1 - y*y }
	case backend.Sigmoid:
		f = func(x T) T { return T(sigmoid(float64(x))) }
		df = func(_, y T) T { return y * (1 - y) }
	case backend.LogSigmoid:
		f = func(x T) T { return T(-softplus(-float64(x))) }
		df = func(x, _ T) T { return T(sigmoid(-float64(x))) }
	case backend.Softplus:
		f = func(x T) T { return T(softplus(float64(x))) }
		df = func(x, _ T) T { return T(sigmoid(float64(x))) }
	}
	return f, df
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
