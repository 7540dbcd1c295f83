package ops

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/backend"
)

// Builder builds loss expressions over short vectors: (N) per token, (S) per segment, and scalars. It keeps the first
// error, as bufio.Writer does: after one, every method returns nil and Err tells it.
//
// Two operands of a binary operator have one shape, or one of them is a scalar. Wherever the gradient that arrives is
// exactly 0, the gradient that leaves is exactly 0 too, even next to NaN or Inf: what a mask does not select cannot
// leak. Nothing here allocates when run by pkg/exec.
type Builder struct {
	g   *gorgonia.ExprGraph
	err error
}

// Expr starts an expression in the graph.
func Expr(g *gorgonia.ExprGraph) *Builder {
	b := &Builder{g: g}
	if g == nil {
		b.err = fmt.Errorf("ops: Expr: graph is nil")
	}
	return b
}

// Err is the first error of the builder.
func (b *Builder) Err() error { return b.err }

// Const is a scalar constant in the dtype of like, an operand that it is to be combined with.
func (b *Builder) Const(c float64, like *gorgonia.Node) *gorgonia.Node {
	switch {
	case b.err != nil:
		return nil
	case like == nil:
		b.err = fmt.Errorf("ops: Const: like is nil")
		return nil
	}
	switch dt, err := dtypeOf(like.Type()); {
	case err == nil && dt == tensor.Float32:
		return b.g.AddNode(gorgonia.NewConstant(float32(c), gorgonia.WithName(fmt.Sprintf("f32 %x", float32(c)))))
	case err == nil && dt == tensor.Float64:
		return b.g.AddNode(gorgonia.NewConstant(c, gorgonia.WithName(fmt.Sprintf("f64 %x", c))))
	}
	b.err = &ShapeError{Op: "Const", Arg: "like", Want: "float32 or float64", Got: like.Shape(), Of: like.Dtype().String()}
	return nil
}

// Add is a + b.
func (b *Builder) Add(x, y *gorgonia.Node) *gorgonia.Node { return b.binary(backend.Plus, x, y) }

// Sub is a - b.
func (b *Builder) Sub(x, y *gorgonia.Node) *gorgonia.Node { return b.binary(backend.Minus, x, y) }

// Mul is a * b, element by element.
func (b *Builder) Mul(x, y *gorgonia.Node) *gorgonia.Node { return b.binary(backend.Times, x, y) }

// Div is a / b, element by element.
func (b *Builder) Div(x, y *gorgonia.Node) *gorgonia.Node { return b.binary(backend.Divide, x, y) }

// Min is the smaller of a and b; on a tie the gradient goes to the first argument.
func (b *Builder) Min(x, y *gorgonia.Node) *gorgonia.Node { return b.binary(backend.Min, x, y) }

// Max is the larger of a and b; on a tie the gradient goes to the first argument.
func (b *Builder) Max(x, y *gorgonia.Node) *gorgonia.Node { return b.binary(backend.Max, x, y) }

// Greater is 1 where x > y and 0 elsewhere. It has no gradient.
func (b *Builder) Greater(x, y *gorgonia.Node) *gorgonia.Node { return b.binary(backend.Greater, x, y) }

// Where is x where mask is not 0, and exactly 0 elsewhere, whatever x holds there. The mask gets no gradient.
func (b *Builder) Where(mask, x *gorgonia.Node) *gorgonia.Node {
	return b.binary(backend.Where, x, mask)
}

// Neg is -x.
func (b *Builder) Neg(x *gorgonia.Node) *gorgonia.Node { return b.Scale(x, -1) }

// Scale is c x for a number c.
func (b *Builder) Scale(x *gorgonia.Node, c float64) *gorgonia.Node {
	return b.unary(backend.Scale, backend.Factor{C: c}, x)
}

// AddConst is x + c for a number c.
func (b *Builder) AddConst(x *gorgonia.Node, c float64) *gorgonia.Node {
	return b.unary(backend.Shift, backend.Factor{C: c}, x)
}

// Exp is e to the x.
func (b *Builder) Exp(x *gorgonia.Node) *gorgonia.Node { return b.unary(backend.Exp, nil, x) }

// Log is the natural logarithm.
func (b *Builder) Log(x *gorgonia.Node) *gorgonia.Node { return b.unary(backend.Log, nil, x) }

// Square is x².
func (b *Builder) Square(x *gorgonia.Node) *gorgonia.Node { return b.unary(backend.Square, nil, x) }

// Sqrt is the square root.
func (b *Builder) Sqrt(x *gorgonia.Node) *gorgonia.Node { return b.unary(backend.Sqrt, nil, x) }

// Abs is |x|, with gradient 0 at 0.
func (b *Builder) Abs(x *gorgonia.Node) *gorgonia.Node { return b.unary(backend.Abs, nil, x) }

// Tanh is the hyperbolic tangent.
func (b *Builder) Tanh(x *gorgonia.Node) *gorgonia.Node { return b.unary(backend.Tanh, nil, x) }

// Sigmoid is 1 / (1 + exp(-x)).
func (b *Builder) Sigmoid(x *gorgonia.Node) *gorgonia.Node { return b.unary(backend.Sigmoid, nil, x) }

// LogSigmoid is log(1 / (1 + exp(-x))), finite for every finite x.
func (b *Builder) LogSigmoid(x *gorgonia.Node) *gorgonia.Node {
	return b.unary(backend.LogSigmoid, nil, x)
}

// Softplus is log(1 + exp(x)), finite for every finite x.
func (b *Builder) Softplus(x *gorgonia.Node) *gorgonia.Node { return b.unary(backend.Softplus, nil, x) }

// Clamp limits x to [lo, hi]. The gradient passes inside and on the limits, and is 0 outside.
func (b *Builder) Clamp(x *gorgonia.Node, lo, hi float64) *gorgonia.Node {
	if b.err == nil && !(lo <= hi) {
		b.err = fmt.Errorf("ops: Clamp: lower limit %g is above the upper limit %g", lo, hi)
	}
	return b.unary(backend.Clamp, backend.Limits{Lo: lo, Hi: hi}, x)
}

// Detach is x without a gradient.
func (b *Builder) Detach(x *gorgonia.Node) *gorgonia.Node { return b.unary(backend.Detach, nil, x) }

// Sum adds up all elements of a vector, unused slots included; see MaskedSum.
func (b *Builder) Sum(x *gorgonia.Node) *gorgonia.Node { return b.keep(sum(x, nil)) }

// MaskedSum adds up the elements where mask is not 0. It selects: what x holds elsewhere does not matter.
func (b *Builder) MaskedSum(x, mask *gorgonia.Node) *gorgonia.Node {
	if mask == nil {
		return b.keep(nil, fmt.Errorf("ops: MaskedSum: mask is nil"))
	}
	return b.keep(sum(x, mask))
}

// MaskedMean is MaskedSum divided by count, a scalar: the number of counted elements of the whole optimisation batch,
// so that the means of micro-batches add up to the mean of the batch.
func (b *Builder) MaskedMean(x, mask, count *gorgonia.Node) *gorgonia.Node {
	return b.Div(b.MaskedSum(x, mask), count)
}

// SegmentSum adds up the elements of x, (N), where mask, (N), is not 0, for each segment: segments, (N) int32, names
// the segment of each slot, -1 for none. The result has the shape of like, (S).
func (b *Builder) SegmentSum(x, mask, segments, like *gorgonia.Node) *gorgonia.Node {
	return b.keep(segmentSum(x, mask, segments, like))
}

// Spread gives each slot the value of its segment: v is (S), segments (N) int32, the result (N), 0 where the segment
// is -1.
func (b *Builder) Spread(v, segments *gorgonia.Node) *gorgonia.Node {
	return b.keep(spread(v, segments))
}

// Stride takes every step-th element of v, (S), from offset on: with offsets 0 and 1 and step 2 the first and the
// second of each pair. The result is (S/step).
func (b *Builder) Stride(v *gorgonia.Node, offset, step int) *gorgonia.Node {
	return b.keep(stride(v, offset, step))
}

// keep keeps the first error: one of an operand that is nil because of it is not told.
func (b *Builder) keep(n *gorgonia.Node, err error) *gorgonia.Node {
	if b.err == nil {
		b.err = err
	}
	if b.err != nil {
		return nil
	}
	return n
}
