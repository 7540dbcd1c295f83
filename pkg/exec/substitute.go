package exec

import (
	"strings"

	"gorgonia.org/gorgonia"

	"github.com/tame-rlhf/tame/pkg/backend"
	"github.com/tame-rlhf/tame/pkg/ops"
)

// The texts by which two operators of gorgonia are recognised, whose types it does not export. A
// test holds them.
const (
	plusText      = "+ false" // element by element
	plusSameText  = "+ true"  // the flag of comparisons that give numbers; it means nothing here
	reshapePrefix = "Reshape("
)

// substitute is what computes those operators of gorgonia that need none of its own: the sum of two
// gradients of one value, which differentiation inserts itself, and a reshape whose result is an
// output. Without a kind for all others.
func substitute(n *gorgonia.Node, in []*slot) backend.Op {
	if isReshape(n, in) {
		return copyOp(in[0])
	}
	name := n.Op().String()
	if len(in) != 2 || (name != plusText && name != plusSameText) || !in[0].shape.Eq(in[1].shape) || !in[0].shape.Eq(n.Shape()) {
		return backend.Op{}
	}
	dt := ops.DTypeOf(n.Dtype())
	if in[0].dt != in[1].dt || in[0].dt != n.Dtype() || dt != backend.Float32 && dt != backend.Float64 {
		return backend.Op{}
	}
	return backend.Op{Kind: backend.GradientSum, DType: dt, In: [][]int{in[0].shape, in[1].shape}, Out: [][]int{n.Shape()}}
}

// isReshape says whether the node is its operand in another shape.
func isReshape(n *gorgonia.Node, in []*slot) bool {
	return len(in) == 1 && strings.HasPrefix(n.Op().String(), reshapePrefix) &&
		in[0].size == n.Shape().TotalSize() && in[0].dt == n.Dtype()
}

// copyOp copies a value, or adds it.
func copyOp(s *slot) backend.Op {
	return backend.Op{Kind: backend.Copy, DType: ops.DTypeOf(s.dt), In: [][]int{s.shape}, Out: [][]int{s.shape}}
}
