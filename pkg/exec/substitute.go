package exec

import (
	"strings"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/kern"
	"github.com/tame-rlhf/tame/pkg/ops"
)

// substitute gives a kernel for those operators of gorgonia that need none of their own: the sum of two gradients of one
// value, which differentiation inserts itself (plus is true), and a reshape whose result is an output. Nil for all others.
func substitute(n *gorgonia.Node, in []*slot) (run func(dst, in []ops.Buffer), plus bool) {
	if isReshape(n, in) {
		return addTo, false
	}
	name := n.Op().String()
	if len(in) != 2 || (name != "+ false" && name != "+ true") || !in[0].shape.Eq(in[1].shape) || !in[0].shape.Eq(n.Shape()) {
		return nil, false
	}
	if in[0].dt != in[1].dt || in[0].dt != n.Dtype() {
		return nil, false
	}
	switch in[0].dt {
	case tensor.Float32:
		return func(dst, in []ops.Buffer) { kern.Add(dst[0].F32, in[0].F32, in[1].F32) }, true
	case tensor.Float64:
		return func(dst, in []ops.Buffer) { kern.Add(dst[0].F64, in[0].F64, in[1].F64) }, true
	}
	return nil, false
}

// isReshape says whether the node is its operand in another shape.
func isReshape(n *gorgonia.Node, in []*slot) bool {
	return len(in) == 1 && strings.HasPrefix(n.Op().String(), "Reshape(") &&
		in[0].size == n.Shape().TotalSize() && in[0].dt == n.Dtype()
}

// addTo copies its input, or adds it.
func addTo(dst, in []ops.Buffer) {
	if !dst[0].Add {
		copy(dst[0].F32, in[0].F32)
		copy(dst[0].F64, in[0].F64)
		copy(dst[0].I32, in[0].I32)
		return
	}
	if dst[0].F32 != nil {
		kern.AddTo(dst[0].F32, in[0].F32)
	} else {
		kern.AddTo(dst[0].F64, in[0].F64)
	}
}
