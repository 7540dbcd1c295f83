package ops

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/backend"
)

// CausalAttention is softmax(q kᵀ / sqrt(D)) v inside each segment, every token seeing itself and what is before it,
// with rotary positions that restart in each segment (halves rotated: columns i and i+D/2 of a head form a pair).
//
// qkv is (N, (H+2KV) D), queries, keys and values of a token side by side; rope is (T, D) with the cosines and then
// the sines of each position. The result is (N, H D). Llama 2, section 2.2; memory stays linear in N.
//
// shared is (S) int32: where it is not 0, the segment continues that many first tokens of the last segment before it with
// a 0. Its tokens see those too, and its positions go on after them. With heads.Window a token sees only that many last ones.
func CausalAttention(qkv, rope, layout, shared *gorgonia.Node, heads backend.Heads) (*gorgonia.Node, error) {
	outs, err := attention(qkv, rope, layout, shared, heads)
	return outs[0], err
}

// attention returns the output and, as its sibling, the log-sum-exp (N, H) that the backward pass needs.
func attention(qkv, rope, layout, shared *gorgonia.Node, heads backend.Heads) ([2]*gorgonia.Node, error) {
	var outs [2]*gorgonia.Node
	h, kv, d := heads.NumHeads, heads.NumKVHeads, heads.HeadDim
	if h < 1 || kv < 1 || h%kv != 0 || d < 2 || d%2 != 0 {
		return outs, fmt.Errorf("ops: attention: %+v: want even HeadDim and NumHeads a multiple of NumKVHeads", heads)
	}
	if heads.Window < 0 {
		return outs, fmt.Errorf("ops: attention: Window is %d, want at least 1, or 0 for none", heads.Window)
	}
	s := newSig(backend.Attention, heads)
	n := s.perRow("qkv", qkv, -1, (h+2*kv)*d)[0]
	s.float("rope", rope, -1, d)
	size := s.used("layout", layout, -1)
	s.ints("shared", shared, size-2)

	grad := func(_ gorgonia.Nodes, out, dout *gorgonia.Node) (gorgonia.Nodes, error) {
		outs, err := attention(qkv, rope, layout, shared, heads)
		if err != nil {
			return nil, err
		}
		g := newSig(backend.AttentionBackward, heads)
		g.perRow("qkv", qkv, n, (h+2*kv)*d)
		g.float("rope", rope, -1, d)
		g.perRow("out", out, n, h*d)
		g.perRow("lse", outs[1], n, h)
		g.perRow("dout", dout, n, h*d)
		g.used("layout", layout, size)
		g.ints("shared", shared, size-2)
		g.gives(tensor.Shape{n, (h + 2*kv) * d})
		return g.grads(4)
	}
	s.gives(tensor.Shape{n, h * d}, tensor.Shape{n, h})
	var err error
	if outs[0], err = s.result(0, []bool{true, false, false, false}, grad); err != nil {
		return outs, err
	}
	outs[1], err = s.result(1, nil, nil)
	return outs, err
}
