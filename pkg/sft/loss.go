package sft

import (
	"gorgonia.org/gorgonia"

	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/train"
)

// LossInputs are the nodes of one micro-batch, in the graph's dtype; (N) unless said, exactly 0 where Mask is 0. What a
// loss does not use is not computed.
type LossInputs struct {
	LogProbs *gorgonia.Node // log p(next token), differentiable
	Entropy  *gorgonia.Node // over the whole vocabulary, differentiable
	Hits     *gorgonia.Node // 1 where the next token is the most probable one, no gradient
	Mask     *gorgonia.Node // 1 where the next token is one of an answer
	Hidden   *gorgonia.Node // (N, C) differentiable, for heads of one's own
	Segments *gorgonia.Node // (N) int32, the segment of each token
	SegMask  *gorgonia.Node // (S) 1 for used segments
	Tokens   *gorgonia.Node // () counted tokens of the whole optimisation batch
	Seqs     *gorgonia.Node // () sequences of the whole optimisation batch
	Step     *gorgonia.Node // () optimisation step, for schedules
}

// Terms and Metric are what a loss returns.
type (
	Terms  = train.Terms
	Metric = train.Metric
)

// Loss builds the terms. It is called once, when the graph is built.
type Loss func(LossInputs) (Terms, error)

// NLL is the mean negative log-likelihood of the answers' tokens (section 3.1: the loss on the prompt is zeroed out),
// over all counted tokens of the whole optimisation batch.
func NLL(in LossInputs) (Terms, error) {
	x := ops.Expr(in.LogProbs.Graph())
	loss := x.Neg(x.MaskedMean(in.LogProbs, in.Mask, in.Tokens))
	return Terms{Loss: loss, Metrics: []Metric{
		{Name: "entropy", Value: x.MaskedMean(in.Entropy, in.Mask, in.Tokens)},
		{Name: "mean_token_accuracy", Value: x.MaskedMean(in.Hits, in.Mask, in.Tokens)},
	}}, x.Err()
}

// newLossInputs names the nodes of a trunk.
func newLossInputs(in *model.Inputs, trunk *model.Trunk) (LossInputs, error) {
	logProbs, err := trunk.LogProbs()
	if err != nil {
		return LossInputs{}, err
	}
	entropy, err := trunk.Entropy()
	if err != nil {
		return LossInputs{}, err
	}
	hits, err := trunk.Hits()
	return LossInputs{
		LogProbs: logProbs,
		Entropy:  entropy,
		Hits:     hits,
		Mask:     in.Mask,
		Hidden:   trunk.Hidden,
		Segments: in.Segments,
		SegMask:  in.SegMask,
		Tokens:   in.Scalar(train.ScalarTokens),
		Seqs:     in.Scalar(train.ScalarSeqs),
		Step:     in.Scalar(train.ScalarStep),
	}, err
}
