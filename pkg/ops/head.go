package ops

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/backend"
)

// ScalarHead is h wᵀ + b for h of (N, C), w of (1, C) and b of (1): one value per row, (N), exactly 0 in unused rows.
func ScalarHead(h, w, b, layout *gorgonia.Node) (*gorgonia.Node, error) {
	s := newSig(backend.ScalarHead, nil)
	nc := s.perRow("h", h, -1, -1)
	s.float("w", w, 1, nc[1])
	s.float("b", b, 1)
	s.used("layout", layout, -1)
	s.gives(tensor.Shape{nc[0]})
	return s.result(0, []bool{true, true, true, false}, func(_ gorgonia.Nodes, _, dout *gorgonia.Node) (gorgonia.Nodes, error) {
		return scalarHeadBackward(h, w, dout, layout)
	})
}

func scalarHeadBackward(h, w, dout, layout *gorgonia.Node) (gorgonia.Nodes, error) {
	s := newSig(backend.ScalarHeadBackward, nil)
	nc := s.perRow("h", h, -1, -1)
	n, c := nc[0], nc[1]
	s.float("w", w, 1, c)
	s.perRow("dout", dout, n)
	s.used("layout", layout, -1)
	s.gives(tensor.Shape{n, c}, tensor.Shape{1, c}, tensor.Shape{1})
	grads := make(gorgonia.Nodes, 4)
	var err error
	if grads[0], err = s.result(0, nil, nil); err != nil {
		return nil, err
	}
	for i := 1; i < 3; i++ {
		if grads[i], err = s.sum(i); err != nil {
			return nil, err
		}
	}
	return grads, nil
}
