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
		g := newSig(backend.ScalarHeadBackward, nil)
		g.perRow("h", h, nc...)
		g.float("w", w, 1, nc[1])
		g.perRow("dout", dout, nc[0])
		g.used("layout", layout, -1)
		g.gives(nc, tensor.Shape{1, nc[1]}, tensor.Shape{1})
		return g.grads(4)
	})
}
