package model

import (
	"cmp"
	"slices"

	"gorgonia.org/gorgonia"

	"github.com/tame-rlhf/tame/pkg/ops"
)

// Layers lists, for every layer but the last, the nodes between the layer's input and its result in the order of the computation,
// the result at the end: the groups that exec.Options.Recompute wants. The last layer is left out because its backward pass follows
// its forward pass at once.
func (t *Trunk) Layers() [][]*gorgonia.Node {
	layers := make([][]*gorgonia.Node, 0, t.params.cfg.NumLayers)
	for i := range t.params.cfg.NumLayers - 1 {
		layers = append(layers, between(t.inputs[i], t.inputs[i+1]))
	}
	return layers
}

// between lists the computed nodes that to depends on and that were created behind from, in that order.
func between(from, to *gorgonia.Node) []*gorgonia.Node {
	list := []*gorgonia.Node{to}
	for i := 0; i < len(list); i++ {
		for _, n := range ops.Operands(list[i]) {
			if n.ID() > from.ID() && n.Op() != nil && !slices.Contains(list, n) {
				list = append(list, n)
			}
		}
	}
	slices.SortFunc(list, func(a, b *gorgonia.Node) int { return cmp.Compare(a.ID(), b.ID()) })
	return list
}
