package ops

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/backend"
)

// Linear is y = x Wᵀ for x of (N, K) and w of (M, K), weights stored [out, in]. The result is (N, M).
func Linear(x, w, layout *gorgonia.Node) (*gorgonia.Node, error) {
	s := newSig(backend.Linear, nil)
	nk := s.perRow("x", x, -1, -1)
	mk := s.float("w", w, -1, nk[1])
	s.used("layout", layout, -1)
	s.gives(tensor.Shape{nk[0], mk[0]})
	return s.result(0, []bool{true, true, false}, func(_ gorgonia.Nodes, _, dout *gorgonia.Node) (gorgonia.Nodes, error) {
		g := newSig(backend.LinearBackwardInput, nil) // dx = dout W
		g.float("w", w, mk...)
		g.perRow("dout", dout, nk[0], mk[0])
		g.used("layout", layout, -1)
		g.gives(nk)
		dx, err := g.result(0, nil, nil)
		if err != nil {
			return nil, err
		}
		g = newSig(backend.LinearBackwardWeight, nil) // dw = doutᵀ x, the sum over tokens in slot order
		g.perRow("x", x, nk...)
		g.perRow("dout", dout, nk[0], mk[0])
		g.used("layout", layout, -1)
		g.gives(mk)
		dw, err := g.sum(0)
		return gorgonia.Nodes{dx, dw, nil}, err
	})
}
