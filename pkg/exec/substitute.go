package exec

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/kern"
	"github.com/tame-rlhf/tame/pkg/ops"
)

// substitute gives a kernel for those operators of gorgonia that its differentiation inserts itself: the sum of two
// gradients of one value. Nil for all others.
func substitute(n *gorgonia.Node, in []*slot) func(dst, in []ops.Buffer) {
	name := n.Op().String()
	if len(in) != 2 || (name != "+ false" && name != "+ true") || !in[0].shape.Eq(in[1].shape) || !in[0].shape.Eq(n.Shape()) {
		return nil
	}
	if in[0].dt != in[1].dt || in[0].dt != n.Dtype() {
		return nil
	}
	switch in[0].dt {
	case tensor.Float32:
		return func(dst, in []ops.Buffer) { kern.Add(dst[0].F32, in[0].F32, in[1].F32) }
	case tensor.Float64:
		return func(dst, in []ops.Buffer) { kern.Add(dst[0].F64, in[0].F64, in[1].F64) }
	}
	return nil
}
