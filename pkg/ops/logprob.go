package ops

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/kern"
)

// TokenLogProbs is log p(target | hidden) at each counted slot, where p = softmax(h Wᵀ / temp): h is (N, C), w is
// (V, C), targets (N) int32, mask (N), temp a scalar. The result is (N), exactly 0 where mask is 0; the gradient that
// arrives there is ignored, so NaN behind the mask goes nowhere. The (N, V) logits are never kept.
func TokenLogProbs(h, w, targets, mask, temp, layout *gorgonia.Node) (*gorgonia.Node, error) {
	return logProbs(h, w, targets, mask, temp, layout, resLogProb)
}

// Entropy is the entropy in nats of the distribution that TokenLogProbs scores, over the whole vocabulary, (N); the
// arguments and the rules for the mask are the same. One kernel computes both.
func Entropy(h, w, targets, mask, temp, layout *gorgonia.Node) (*gorgonia.Node, error) {
	return logProbs(h, w, targets, mask, temp, layout, resEntropy)
}

// TokenHits is 1 where the target is the most probable token and 0 elsewhere, (N): its masked mean is the token accuracy. The
// arguments are those of TokenLogProbs, of whose kernel it is a further result. It has no gradient.
func TokenHits(h, w, targets, mask, temp, layout *gorgonia.Node) (*gorgonia.Node, error) {
	return logProbs(h, w, targets, mask, temp, layout, resHit)
}

const (
	resLogProb = iota
	resLSE
	resEntropy
	resHit
	numLogProbResults
)

func logProbs(h, w, targets, mask, temp, layout *gorgonia.Node, result int) (*gorgonia.Node, error) {
	s := newSig("token log-probs")
	nc := s.perRow("h", h, -1, -1)
	n, c := nc[0], nc[1]
	v := s.float("w", w, -1, c)[0]
	s.ints("targets", targets, n)
	s.perRow("mask", mask, n)
	s.float("temperature", temp)
	s.used("layout", layout, -1)
	grad := func(_ gorgonia.Nodes, out, dout *gorgonia.Node) (gorgonia.Nodes, error) {
		lse, err := logProbs(h, w, targets, mask, temp, layout, resLSE)
		if err != nil {
			return nil, err
		}
		if result == resEntropy {
			return entropyBackward(h, w, targets, mask, temp, lse, out, dout, layout)
		}
		return logProbBackward(h, w, targets, mask, temp, lse, dout, layout)
	}
	diff := []bool{true, true, false, false, false, false}
	if result == resLSE || result == resHit {
		grad, diff = nil, nil
	}
	return s.build("token log-probs", result, numLogProbResults, tensor.Shape{n},
		s.pick(logProbForward[float32](c, v), logProbForward[float64](c, v)), diff, grad)
}

func logProbForward[T kern.Float](c, v int) kernel {
	return func(dst, in []Buffer) {
		n, _ := used(in[5].I32)
		for _, d := range dst {
			clearFrom[T](d, n)
		}
		kern.TokenLogProbs(data[T](dst[resLogProb]), data[T](dst[resLSE]), data[T](dst[resEntropy]), data[T](dst[resHit]),
			data[T](in[0]), data[T](in[1]), in[2].I32, data[T](in[3]), data[T](in[4])[0], n, c, v)
	}
}

func logProbBackward(h, w, targets, mask, temp, lse, dlogp, layout *gorgonia.Node) (gorgonia.Nodes, error) {
	s := newSig("token log-probs backward")
	n, c, v := logProbArgs(s, h, w, targets, mask, temp, lse)
	s.perRow("dlogp", dlogp, n)
	s.used("layout", layout, -1)
	return headGrads(s, "token log-probs backward", n, c, v,
		s.pick(logProbGrad[float32](c, v), logProbGrad[float64](c, v)))
}

func entropyBackward(h, w, targets, mask, temp, lse, ent, dent, layout *gorgonia.Node) (gorgonia.Nodes, error) {
	s := newSig("entropy backward")
	n, c, v := logProbArgs(s, h, w, targets, mask, temp, lse)
	s.perRow("entropy", ent, n)
	s.perRow("dentropy", dent, n)
	s.used("layout", layout, -1)
	return headGrads(s, "entropy backward", n, c, v,
		s.pick(entropyGrad[float32](c, v), entropyGrad[float64](c, v)))
}

func logProbArgs(s *sig, h, w, targets, mask, temp, lse *gorgonia.Node) (n, c, v int) {
	nc := s.perRow("h", h, -1, -1)
	n, c = nc[0], nc[1]
	v = s.float("w", w, -1, c)[0]
	s.ints("targets", targets, n)
	s.perRow("mask", mask, n)
	s.float("temperature", temp)
	s.perRow("lse", lse, n)
	return n, c, v
}

// headGrads builds dh and dw as two results of one kernel.
func headGrads(s *sig, key string, n, c, v int, run kernel) (gorgonia.Nodes, error) {
	dh, err := s.build(key, 0, 2, tensor.Shape{n, c}, run, nil, nil)
	if err != nil {
		return nil, err
	}
	dw, err := s.buildAdder(key, 1, 2, tensor.Shape{v, c}, run)
	return gorgonia.Nodes{dh, dw, nil, nil, nil, nil}, err
}

func logProbGrad[T kern.Float](c, v int) kernel {
	return func(dst, in []Buffer) {
		n, _ := used(in[7].I32)
		headBackward[T](dst, in, data[T](in[5]), nil, data[T](in[6]), nil, n, c, v)
	}
}

func entropyGrad[T kern.Float](c, v int) kernel {
	return func(dst, in []Buffer) {
		n, _ := used(in[8].I32)
		headBackward(dst, in, data[T](in[5]), data[T](in[6]), nil, data[T](in[7]), n, c, v)
	}
}

func headBackward[T kern.Float](dst, in []Buffer, lse, ent, dlogp, dent []T, n, c, v int) {
	dh, dw := data[T](dst[0]), data[T](dst[1])
	kern.TokenLogProbsBackward(dh, dw, data[T](in[0]), data[T](in[1]), in[2].I32, data[T](in[3]), data[T](in[4])[0],
		lse, ent, dlogp, dent, n, c, v, dst[1].Add)
	clearFrom[T](dst[0], n*c)
}
