package train

import (
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/optim"
)

// Weight is a custom weight in a graph, in addition to those of the trunks: a head, an adapter. Use
// NewWeight.
type Weight struct {
	optim.Param
	Node *gorgonia.Node
}

// NewWeight makes the node of a vector or matrix that a loss reads. Its value is used in place: put
// the Weight into Network.Extra to train it, or give it to NewForward.
func NewWeight(in *model.Inputs, p optim.Param) (Weight, error) {
	switch {
	case p.Name == "" || p.Value == nil:
		return Weight{}, fmt.Errorf("train: custom weight %q has no name or no value", p.Name)
	case p.Value.Dtype() != in.DType:
		return Weight{}, fmt.Errorf("train: custom weight %q is %v, the inputs are %v", p.Name, p.Value.Dtype(), in.DType)
	case p.Value.Shape().TotalSize() == 0 || p.Value.RequiresIterator() || p.Value.DataOrder().IsColMajor():
		return Weight{}, fmt.Errorf("train: custom weight %q is empty or a view, want numbers of its own, row by row", p.Name)
	}
	options := []gorgonia.NodeConsOpt{gorgonia.WithName("extra/" + p.Name), gorgonia.WithShape(p.Value.Shape()...)}
	switch p.Value.Dims() {
	case 1:
		return Weight{p, gorgonia.NewVector(in.G, in.DType, options...)}, nil
	case 2:
		return Weight{p, gorgonia.NewMatrix(in.G, in.DType, options...)}, nil
	}
	return Weight{}, fmt.Errorf("train: custom weight %q has shape %v, want a vector or a matrix", p.Name, p.Value.Shape())
}

// newWeights makes the nodes of custom weights, and names them.
func newWeights(in *model.Inputs, params []optim.Param) ([]Weight, map[string]*gorgonia.Node, error) {
	weights, nodes := make([]Weight, len(params)), make(map[string]*gorgonia.Node, len(params))
	for i, p := range params {
		var err error
		if weights[i], err = NewWeight(in, p); err != nil {
			return nil, nil, err
		}
		nodes[p.Name] = weights[i].Node
	}
	return weights, nodes, nil
}

// copyOf copies custom weights, for the best evaluation.
func copyOf(params []optim.Param) []optim.Param {
	c := slices.Clone(params)
	for i := range c {
		c[i].Value = c[i].Value.Clone().(*tensor.Dense)
	}
	return c
}

// copyInto overwrites the custom weights dst by those of the same names in src.
func copyInto(dst, src []optim.Param) error {
	for _, d := range dst {
		i := slices.IndexFunc(src, func(s optim.Param) bool { return s.Name == d.Name })
		if i < 0 || !src[i].Value.Shape().Eq(d.Value.Shape()) {
			return fmt.Errorf("train: there is no custom weight %q of shape %v to restore", d.Name, d.Value.Shape())
		}
		if err := tensor.Copy(d.Value, src[i].Value); err != nil {
			return fmt.Errorf("train: custom weight %q: %w", d.Name, err)
		}
	}
	return nil
}
