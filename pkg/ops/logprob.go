package ops

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/backend"
)

// TokenLogProbs is log p(target | hidden) at each counted slot, where p = softmax(h Wᵀ / temp): h is (N, C), w is
// (V, C), targets (N) int32, mask (N), temp a scalar. The result is (N), exactly 0 where mask is 0; the gradient that
// arrives there is ignored, so NaN behind the mask goes nowhere. The (N, V) logits are never kept.
func TokenLogProbs(h, w, targets, mask, temp, layout *gorgonia.Node) (*gorgonia.Node, error) {
	return Vocab(0).TokenLogProbs(h, w, targets, mask, temp, layout)
}

// Entropy is the entropy in nats of the distribution that TokenLogProbs scores, over the whole vocabulary, (N); the
// arguments and the rules for the mask are the same. One kernel computes both.
func Entropy(h, w, targets, mask, temp, layout *gorgonia.Node) (*gorgonia.Node, error) {
	return Vocab(0).Entropy(h, w, targets, mask, temp, layout)
}

// TokenHits is 1 where the target is the most probable token and 0 elsewhere, (N): its masked mean is the token accuracy. The
// arguments are those of TokenLogProbs, of whose kernel it is a further result. It has no gradient.
func TokenHits(h, w, targets, mask, temp, layout *gorgonia.Node) (*gorgonia.Node, error) {
	return Vocab(0).TokenHits(h, w, targets, mask, temp, layout)
}

// Vocab is the number of ids, from 0 on, that have a probability, fewer than w has rows where a vocabulary is padded: the
// distribution is over these. 0 is all rows of w. A target that counts has to be one of them.
type Vocab int

// TokenLogProbs is the function TokenLogProbs for these ids.
func (v Vocab) TokenLogProbs(h, w, targets, mask, temp, layout *gorgonia.Node) (*gorgonia.Node, error) {
	return v.logProbs(h, w, targets, mask, temp, layout, backend.LogProb)
}

// Entropy is the function Entropy for these ids.
func (v Vocab) Entropy(h, w, targets, mask, temp, layout *gorgonia.Node) (*gorgonia.Node, error) {
	return v.logProbs(h, w, targets, mask, temp, layout, backend.Entropy)
}

// TokenHits is the function TokenHits for these ids.
func (v Vocab) TokenHits(h, w, targets, mask, temp, layout *gorgonia.Node) (*gorgonia.Node, error) {
	return v.logProbs(h, w, targets, mask, temp, layout, backend.Hit)
}

// attrs are the attributes of the operators: nil for all ids.
func (v Vocab) attrs() any {
	if v == 0 {
		return nil
	}
	return backend.Vocab{N: int(v)}
}

func (v Vocab) logProbs(h, w, targets, mask, temp, layout *gorgonia.Node, result int) (*gorgonia.Node, error) {
	s := newSig(backend.TokenLogProbs, v.attrs())
	n, _, rows := s.scored(h, w, targets, mask, temp)
	if s.err == nil && (v < 0 || int(v) > rows) {
		return nil, fmt.Errorf("ops: %s: a vocabulary of %d ids, w has %d rows", backend.TokenLogProbs, v, rows)
	}
	s.used("layout", layout, -1)
	s.gives(tensor.Shape{n}, tensor.Shape{n}, tensor.Shape{n}, tensor.Shape{n})
	if result == backend.LogSumExp || result == backend.Hit {
		return s.result(result, nil, nil)
	}
	diff := []bool{true, true, false, false, false, false}
	return s.result(result, diff, func(_ gorgonia.Nodes, out, dout *gorgonia.Node) (gorgonia.Nodes, error) {
		lse, err := v.logProbs(h, w, targets, mask, temp, layout, backend.LogSumExp)
		if err != nil {
			return nil, err
		}
		kind, argument := backend.TokenLogProbsBackward, "dlogp"
		if result == backend.Entropy {
			kind, argument = backend.EntropyBackward, "dentropy"
		}
		g := newSig(kind, v.attrs())
		n, c, rows := g.scored(h, w, targets, mask, temp)
		g.perRow("lse", lse, n)
		if kind == backend.EntropyBackward {
			g.perRow("entropy", out, n)
		}
		g.perRow(argument, dout, n)
		g.used("layout", layout, -1)
		g.gives([]int{n, c}, []int{rows, c})
		return g.grads(6)
	})
}

// scored adds the arguments that a distribution over the vocabulary comes from.
func (s *sig) scored(h, w, targets, mask, temp *gorgonia.Node) (n, c, v int) {
	nc := s.perRow("h", h, -1, -1)
	n, c = nc[0], nc[1]
	v = s.float("w", w, -1, c)[0]
	s.ints("targets", targets, n)
	s.perRow("mask", mask, n)
	s.float("temperature", temp)
	return n, c, v
}
