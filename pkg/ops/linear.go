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
		dx, err := linearBackwardInput(w, dout, layout)
		if err != nil {
			return nil, err
		}
		dw, err := linearBackwardWeight(x, dout, layout)
		return gorgonia.Nodes{dx, dw, nil}, err
	})
}

// dx = dout W
func linearBackwardInput(w, dout, layout *gorgonia.Node) (*gorgonia.Node, error) {
	s := newSig(backend.LinearBackwardInput, nil)
	mk := s.float("w", w, -1, -1)
	n := s.perRow("dout", dout, -1, mk[0])[0]
	s.used("layout", layout, -1)
	s.gives(tensor.Shape{n, mk[1]})
	return s.result(0, nil, nil)
}

// dw = doutᵀ x, the sum over tokens in slot order
func linearBackwardWeight(x, dout, layout *gorgonia.Node) (*gorgonia.Node, error) {
	s := newSig(backend.LinearBackwardWeight, nil)
	nk := s.perRow("x", x, -1, -1)
	m := s.perRow("dout", dout, nk[0], -1)[1]
	s.used("layout", layout, -1)
	s.gives(tensor.Shape{m, nk[1]})
	return s.sum(0)
}
