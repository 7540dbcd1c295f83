package ops

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/backend"
)

// Embed looks up the rows of w, (V, C), for tokens, (N) int32. The result is (N, C).
func Embed(tokens, w, layout *gorgonia.Node) (*gorgonia.Node, error) {
	s := newSig(backend.Embed, nil)
	n := s.ints("tokens", tokens, -1)
	vc := s.float("w", w, -1, -1)
	s.used("layout", layout, -1)
	s.gives(tensor.Shape{n[0], vc[1]})
	return s.result(0, []bool{false, true, false}, func(_ gorgonia.Nodes, _, dout *gorgonia.Node) (gorgonia.Nodes, error) {
		g := newSig(backend.EmbedBackward, backend.Rows{N: vc[0]})
		g.ints("tokens", tokens, n[0])
		g.perRow("dout", dout, n[0], vc[1])
		g.used("layout", layout, -1)
		g.gives(vc)
		dw, err := g.sum(0)
		return gorgonia.Nodes{nil, dw, nil}, err
	})
}

// RMSNorm is y = x / sqrt(mean(x^2) + eps) * w over the rows of x, (N, C), with w of (C). Llama 2, section 2.2.
func RMSNorm(x, w, layout *gorgonia.Node, eps float64) (*gorgonia.Node, error) {
	s := newSig(backend.RMSNorm, backend.RMSNormAttrs{Eps: eps})
	nc := s.perRow("x", x, -1, -1)
	s.float("w", w, nc[1])
	s.used("layout", layout, -1)
	s.gives(nc)
	return s.result(0, []bool{true, true, false}, func(_ gorgonia.Nodes, _, dout *gorgonia.Node) (gorgonia.Nodes, error) {
		g := newSig(backend.RMSNormBackward, backend.RMSNormAttrs{Eps: eps})
		g.perRow("x", x, nc...)
		g.float("w", w, nc[1])
		g.perRow("dout", dout, nc...)
		g.used("layout", layout, -1)
		g.gives(nc, tensor.Shape{nc[1]})
		return g.grads(3)
	})
}

// HeadNorm is RMSNorm on each head of queries and of keys in qkv, (N, (H+2KV) D), with weights q and k of (D); values stay as they are.
func HeadNorm(qkv, q, k, layout *gorgonia.Node, heads backend.Heads, eps float64) (*gorgonia.Node, error) {
	d, attrs := heads.HeadDim, backend.HeadNormAttrs{Heads: heads, Eps: eps}
	width := (heads.NumHeads + 2*heads.NumKVHeads) * d
	s := newSig(backend.HeadNorm, attrs)
	nc := s.perRow("qkv", qkv, -1, width)
	s.float("q", q, d)
	s.float("k", k, d)
	s.used("layout", layout, -1)
	s.gives(nc)
	return s.result(0, []bool{true, true, true, false}, func(_ gorgonia.Nodes, _, dout *gorgonia.Node) (gorgonia.Nodes, error) {
		g := newSig(backend.HeadNormBackward, attrs)
		g.perRow("qkv", qkv, nc...)
		g.float("q", q, d)
		g.float("k", k, d)
		g.perRow("dout", dout, nc...)
		g.used("layout", layout, -1)
		g.gives(nc, tensor.Shape{d}, tensor.Shape{d})
		return g.grads(4)
	})
}

// SwiGLU is silu(gate) * up for gu, (N, 2F), whose rows hold gate and then up. The result is (N, F).
func SwiGLU(gu, layout *gorgonia.Node) (*gorgonia.Node, error) {
	s := newSig(backend.SwiGLU, nil)
	nf := s.perRow("gu", gu, -1, -1)
	s.used("layout", layout, -1)
	if s.err == nil && nf[1]%2 != 0 {
		s.err = &ShapeError{Op: string(backend.SwiGLU), Arg: "gu", Want: "(N, 2F)", Got: gu.Shape(), Of: s.dt.String()}
	}
	s.gives(tensor.Shape{nf[0], nf[1] / 2})
	return s.result(0, []bool{true, false}, func(_ gorgonia.Nodes, _, dout *gorgonia.Node) (gorgonia.Nodes, error) {
		g := newSig(backend.SwiGLUBackward, nil)
		g.perRow("gu", gu, nf...)
		g.perRow("dout", dout, nf[0], nf[1]/2)
		g.used("layout", layout, -1)
		g.gives(nf)
		return g.grads(2)
	})
}

// Add is the residual connection a + b of two (N, C) matrices.
func Add(a, b, layout *gorgonia.Node) (*gorgonia.Node, error) {
	s := newSig(backend.Add, nil)
	nc := s.perRow("a", a, -1, -1)
	s.perRow("b", b, nc...)
	s.used("layout", layout, -1)
	s.gives(nc)
	return s.result(0, []bool{true, true, false}, func(_ gorgonia.Nodes, _, dout *gorgonia.Node) (gorgonia.Nodes, error) {
		return gorgonia.Nodes{dout, dout, nil}, nil
	})
}

// Bias is y = x + b for each row of x, (N, C), with b of (C): after Linear, a layer with a bias.
func Bias(x, b, layout *gorgonia.Node) (*gorgonia.Node, error) {
	s := newSig(backend.Bias, nil)
	nc := s.perRow("x", x, -1, -1)
	s.float("b", b, nc[1])
	s.used("layout", layout, -1)
	s.gives(tensor.Shape{nc[0], nc[1]})
	return s.result(0, []bool{true, true, false}, func(_ gorgonia.Nodes, _, dout *gorgonia.Node) (gorgonia.Nodes, error) {
		db, err := biasBackward(dout, layout)
		return gorgonia.Nodes{dout, db, nil}, err
	})
}

func biasBackward(dout, layout *gorgonia.Node) (*gorgonia.Node, error) {
	s := newSig(backend.BiasBackward, nil)
	nc := s.perRow("dout", dout, -1, -1)
	s.used("layout", layout, -1)
	s.gives(tensor.Shape{nc[1]})
	return s.sum(0)
}
