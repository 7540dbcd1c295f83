package ops

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/kern"
)

// AttentionShape says how the columns of packed q|k|v divide into heads.
type AttentionShape struct {
	NumHeads   int // H, query heads
	NumKVHeads int // KV, key and value heads; divides H
	HeadDim    int // D, even
}

// CausalAttention is softmax(q kᵀ / sqrt(D)) v inside each segment, every token seeing itself and what is before it,
// with rotary positions that restart in each segment (halves rotated: columns i and i+D/2 of a head form a pair).
//
// qkv is (N, (H+2KV) D), queries, keys and values of a token side by side; rope is (T, D) with the cosines and then
// the sines of each position. The result is (N, H D). Llama 2, section 2.2; memory stays linear in N.
//
// shared is (S) int32: where it is not 0, the segment continues that many first tokens of the last segment before it with
// a 0. Its tokens see those too, and its positions go on behind them.
func CausalAttention(qkv, rope, layout, shared *gorgonia.Node, sh AttentionShape) (*gorgonia.Node, error) {
	outs, err := attention(qkv, rope, layout, shared, sh)
	return outs[0], err
}

// attention returns the output and, as its sibling, the log-sum-exp (N, H) that the backward pass needs.
func attention(qkv, rope, layout, shared *gorgonia.Node, sh AttentionShape) ([2]*gorgonia.Node, error) {
	var outs [2]*gorgonia.Node
	if sh.NumHeads < 1 || sh.NumKVHeads < 1 || sh.NumHeads%sh.NumKVHeads != 0 || sh.HeadDim < 2 || sh.HeadDim%2 != 0 {
		return outs, fmt.Errorf("ops: attention: %+v: want even HeadDim and NumHeads a multiple of NumKVHeads", sh)
	}
	s := newSig("attention")
	width := (sh.NumHeads + 2*sh.NumKVHeads) * sh.HeadDim
	n := s.perRow("qkv", qkv, -1, width)[0]
	s.float("rope", rope, -1, sh.HeadDim)
	size := s.used("layout", layout, -1)
	s.ints("shared", shared, size-2)

	grad := func(_ gorgonia.Nodes, out, dout *gorgonia.Node) (gorgonia.Nodes, error) {
		outs, err := attention(qkv, rope, layout, shared, sh)
		if err != nil {
			return nil, err
		}
		dqkv, err := attentionBackward(qkv, rope, out, outs[1], dout, layout, shared, sh)
		return gorgonia.Nodes{dqkv, nil, nil, nil}, err
	}
	key := fmt.Sprintf("attention %d %d %d", sh.NumHeads, sh.NumKVHeads, sh.HeadDim)
	run := s.pick(attentionForward[float32](sh), attentionForward[float64](sh))
	var err error
	if outs[0], err = s.build(key, 0, 2, tensor.Shape{n, sh.NumHeads * sh.HeadDim}, run, []bool{true, false, false, false}, grad); err != nil {
		return outs, err
	}
	outs[1], err = s.build(key, 1, 2, tensor.Shape{n, sh.NumHeads}, run, nil, nil)
	return outs, err
}

func kernShape(sh AttentionShape) kern.AttnShape {
	return kern.AttnShape{H: sh.NumHeads, KV: sh.NumKVHeads, D: sh.HeadDim}
}

func attentionForward[T kern.Float](sh AttentionShape) kernel {
	ks := kernShape(sh)
	return func(dst, in []Buffer) {
		n, _ := used(in[2].I32)
		out, lse := data[T](dst[0]), data[T](dst[1])
		kern.Attention(out, lse, data[T](in[0]), data[T](in[1]), in[2].I32, in[3].I32, ks)
		clearFrom[T](dst[0], n*ks.H*ks.D)
		clearFrom[T](dst[1], n*ks.H)
	}
}

func attentionBackward(qkv, rope, out, lse, dout, layout, shared *gorgonia.Node, sh AttentionShape) (*gorgonia.Node, error) {
	s := newSig("attention backward")
	hd := sh.NumHeads * sh.HeadDim
	width := hd + 2*sh.NumKVHeads*sh.HeadDim
	n := s.perRow("qkv", qkv, -1, width)[0]
	s.float("rope", rope, -1, sh.HeadDim)
	s.perRow("out", out, n, hd)
	s.perRow("lse", lse, n, sh.NumHeads)
	s.perRow("dout", dout, n, hd)
	size := s.used("layout", layout, -1)
	s.ints("shared", shared, size-2)
	key := fmt.Sprintf("attention backward %d %d %d", sh.NumHeads, sh.NumKVHeads, sh.HeadDim)
	return s.build(key, 0, 1, tensor.Shape{n, width},
		s.pick(attentionGrad[float32](sh), attentionGrad[float64](sh)), nil, nil)
}

func attentionGrad[T kern.Float](sh AttentionShape) kernel {
	ks := kernShape(sh)
	width := (ks.H + 2*ks.KV) * ks.D
	return func(dst, in []Buffer) {
		n, _ := used(in[5].I32)
		dqkv := data[T](dst[0])
		kern.AttentionBackward(dqkv, data[T](in[0]), data[T](in[1]), data[T](in[2]), data[T](in[3]), data[T](in[4]), in[5].I32, in[6].I32, ks)
		clearFrom[T](dst[0], n*width)
	}
}
