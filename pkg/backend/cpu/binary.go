package cpu

import (
	"github.com/tame-rlhf/tame/internal/kern"
	"github.com/tame-rlhf/tame/pkg/backend"
)

// binary is the kernel of an element-wise function of two operands, of which one may be a scalar,
// or of its gradients; nil for other kinds.
func binary[T kern.Float](op backend.Op) backend.Kernel {
	kind, backward := derivativeOf(op.Kind)
	f, df := binaryFunc[T](kind)
	switch {
	case !backward && f != nil:
		return binaryForward(f)
	case backward && df != nil:
		return binaryBackward(df)
	}
	return nil
}

// at is element i of a vector, or the scalar.
func at[T kern.Float](x []T, i int) T {
	if len(x) == 1 {
		return x[0]
	}
	return x[i]
}

func binaryForward[T kern.Float](f func(x, y T) T) backend.Kernel {
	return func(dst, in []backend.Buffer) {
		x, y, z := data[T](in[0]), data[T](in[1]), data[T](dst[0])
		for i := range z {
			z[i] = f(at(x, i), at(y, i))
		}
	}
}

func binaryBackward[T kern.Float](f func(x, y T) (fx, fy T)) backend.Kernel {
	return func(dst, in []backend.Buffer) {
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

// accumulate adds to element i, or to the scalar that was broadcast; nothing where the gradient is
// not wanted.
func accumulate[T kern.Float](d []T, i int, g T) {
	switch len(d) {
	case 0:
	case 1:
		d[0] += g
	default:
		d[i] += g
	}
}

// binaryFunc is the function of a kind, and dz/dx and dz/dy; nil for a kind that has none. A tie of
// Min or Max belongs to x.
func binaryFunc[T kern.Float](kind backend.Kind) (f func(x, y T) T, df func(x, y T) (fx, fy T)) {
	switch kind {
	case backend.Plus:
		f = func(x, y T) T { return x + y }
		df = func(_, _ T) (T, T) { return 1, 1 }
	case backend.Minus:
		f = func(x, y T) T { return x - y }
		df = func(_, _ T) (T, T) { return 1, -1 }
	case backend.Times:
		f = func(x, y T) T { return x * y }
		df = func(x, y T) (T, T) { return y, x }
	case backend.Divide:
		f = func(x, y T) T { return x / y }
		df = func(x, y T) (T, T) { return 1 / y, -x / (y * y) }
	case backend.Min:
		f = func(x, y T) T { return min(x, y) }
		df = func(x, y T) (T, T) { return indicator[T](x <= y), indicator[T](y < x) }
	case backend.Max:
		f = func(x, y T) T { return max(x, y) }
		df = func(x, y T) (T, T) { return indicator[T](x >= y), indicator[T](y > x) }
	case backend.Greater:
		f = func(x, y T) T { return indicator[T](x > y) }
	case backend.Where:
		f = func(x, y T) T {
			if y != 0 {
				return x
			}
			return 0
		}
		df = func(_, y T) (T, T) { return indicator[T](y != 0), 0 }
	}
	return f, df
}
