package sft

import (
	"gorgonia.org/gorgonia"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/train"
)

// LossInputs are the nodes of one micro-batch, in the graph's dtype; (N) unless said, exactly 0 where Mask is 0. What a
// loss does not use is not computed.
type LossInputs struct {
	LogProbs *gorgonia.Node // log p(next token), differentiable
	Entropy  *gorgonia.Node // over the whole vocabulary, differentiable
	Hits     *gorgonia.Node // 1 where the next token is the most probable one, no gradient
	Mask     *gorgonia.Node // 1 where the next token counts, whatever its weight
	Weights  *gorgonia.Node // the weight of the next token, see data.Example
	Hidden   *gorgonia.Node // (N, C) differentiable, for custom heads
	Segments *gorgonia.Node // (N) int32, the segment of each token
	Layout   *gorgonia.Node // (S+2) int32, for operators of pkg/ops on rows of Hidden
	SegMask  *gorgonia.Node // (S) 1 for used segments
	Tokens   *gorgonia.Node // () counted tokens of the whole optimisation batch
	Weight   *gorgonia.Node // () the sum of their weights
	Seqs     *gorgonia.Node // () sequences of the whole optimisation batch
	Step     *gorgonia.Node // () optimisation step, for schedules

	Extra map[string]*gorgonia.Node // Config.ExtraWeights by name
}

// Terms and Metric are what a loss returns.
type (
	Terms  = train.Terms
	Metric = train.Metric
)

// Loss builds the terms. It is called once, when the graph is built.
type Loss func(LossInputs) (Terms, error)

// NLL is the mean negative log-likelihood of the answers' tokens (section 3.1: the loss on the prompt
// is zeroed out), over all counted tokens of the whole optimisation batch. A token of weight w counts
// w times; without Weights each counts once. The metrics do not look at weights.
func NLL(in LossInputs) (Terms, error) {
	x := ops.Expr(in.LogProbs.Graph())
	logProbs, total := in.LogProbs, in.Tokens
	if in.Weights != nil {
		logProbs, total = x.Mul(in.LogProbs, in.Weights), in.Weight
	}
	loss := x.Neg(x.MaskedMean(logProbs, in.Mask, total))
	return Terms{Loss: loss, Metrics: []Metric{
		{Name: "entropy", Value: x.MaskedMean(in.Entropy, in.Mask, in.Tokens)},
		{Name: "mean_token_accuracy", Value: x.MaskedMean(in.Hits, in.Mask, in.Tokens)},
	}}, x.Err()
}

// newLossInputs names the nodes of a graph.
func newLossInputs(g train.Graph) (LossInputs, error) {
	logProbs, err := g.Trunk.LogProbs()
	if err != nil {
		return LossInputs{}, err
	}
	entropy, err := g.Trunk.Entropy()
	if err != nil {
		return LossInputs{}, err
	}
	hits, err := g.Trunk.Hits()
	return LossInputs{
		LogProbs: logProbs,
		Entropy:  entropy,
		Hits:     hits,
		Mask:     g.In.Mask,
		Weights:  g.In.TokenColumn(data.WeightColumn),
		Hidden:   g.Trunk.Hidden,
		Segments: g.In.Segments,
		Layout:   g.In.Layout,
		SegMask:  g.In.SegMask,
		Tokens:   g.In.Scalar(train.ScalarTokens),
		Weight:   g.In.Scalar(train.ScalarWeight),
		Seqs:     g.In.Scalar(train.ScalarSeqs),
		Step:     g.In.Scalar(train.ScalarStep),
		Extra:    g.Extra,
	}, err
}
