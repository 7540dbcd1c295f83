package rewardmodel

import (
	"gorgonia.org/gorgonia"

	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/train"
)

// LossInputs are the nodes of one micro-batch of P = S/2 pairs, in the graph's dtype; (P) unless said, exactly 0 where
// PairMask is 0. What a loss does not use is not computed.
type LossInputs struct {
	Chosen   *gorgonia.Node // score of the preferred answer, differentiable
	Rejected *gorgonia.Node // score of the other answer, differentiable
	Margin   *gorgonia.Node // m(rating)
	PairMask *gorgonia.Node // 1 for used pairs

	ChosenSafe    *gorgonia.Node // 1 safe, 0 unsafe
	RejectedSafe  *gorgonia.Node
	ChosenKnown   *gorgonia.Node // 1 where there is a safety label
	RejectedKnown *gorgonia.Node

	Scores   *gorgonia.Node // (S) the scores of all answers, chosen and rejected in turn, differentiable
	Hidden   *gorgonia.Node // (N, C) differentiable, for custom heads; what both answers share is there once
	Segments *gorgonia.Node // (N) int32, the segment of each token: that of the chosen answer where both share it
	Layout   *gorgonia.Node // (S+2) int32, for operators of pkg/ops on rows of Hidden
	SegMask  *gorgonia.Node // (S) 1 for used segments
	Pairs    *gorgonia.Node // () pairs of the whole optimisation batch
	Step     *gorgonia.Node // () optimisation step, for schedules

	Extra map[string]*gorgonia.Node // Config.ExtraWeights by name
}

// Loss builds the terms of a batch of pairs. It is called once, when the graph is built.
type Loss func(LossInputs) (Terms, error)

// Terms is what a loss returns: the scalar to minimise, and sums to log.
type Terms = train.Terms

// Metric is one number to log.
type Metric = train.Metric

// RankingLoss is the paper's binary ranking loss with a margin (section 3.2.2, equation 2),
//
//	L = -1/P Σ log σ(r_chosen - r_rejected - m(rating)),
//
// plus safetyWeight times the mean over pairs of the binary cross-entropy of both scores against the safety labels
// (1 safe) of their answers, where there are labels. The paper has such an auxiliary loss for the safety model and does
// not give its formula.
func RankingLoss(safetyWeight float64) Loss {
	return func(in LossInputs) (Terms, error) {
		x := ops.Expr(in.Chosen.Graph())
		mean := func(v *gorgonia.Node) *gorgonia.Node { return x.MaskedMean(v, in.PairMask, in.Pairs) }

		gap := x.Sub(in.Chosen, in.Rejected)
		ranking := x.Neg(mean(x.LogSigmoid(x.Sub(gap, in.Margin))))
		terms := Terms{Loss: ranking, Metrics: []Metric{
			{Name: "accuracy", Value: mean(x.Greater(in.Chosen, in.Rejected))},
			{Name: "margin", Value: mean(gap)},
			{Name: "mean_reward", Value: mean(x.Scale(x.Add(in.Chosen, in.Rejected), 0.5))},
			{Name: "ranking_loss", Value: ranking},
		}}
		if safetyWeight != 0 {
			aux := x.Div(x.Add(
				bceSum(x, in.Chosen, in.ChosenSafe, in.ChosenKnown),
				bceSum(x, in.Rejected, in.RejectedSafe, in.RejectedKnown)), in.Pairs)
			terms.Loss = x.Add(ranking, x.Scale(aux, safetyWeight))
			terms.Metrics = append(terms.Metrics, Metric{Name: "safety_loss", Value: aux})
		}
		return terms, x.Err()
	}
}

// bceSum is the summed binary cross-entropy of scores as logits, where known: softplus(s) - y s.
func bceSum(x *ops.Builder, score, label, known *gorgonia.Node) *gorgonia.Node {
	return x.MaskedSum(x.Sub(x.Softplus(score), x.Mul(label, score)), known)
}

// Columns of the micro-batch, (S): a pair's own numbers stand at its first segment.
const (
	columnMargin = "margin"
	columnSafe   = "safe"
	columnKnown  = "safety_known"
)

// newLossInputs names the nodes of a graph.
func newLossInputs(g train.Graph) (LossInputs, error) {
	scores, err := g.Trunk.SegmentScores()
	if err != nil {
		return LossInputs{}, err
	}
	x := ops.Expr(g.In.G)
	first := func(v *gorgonia.Node) *gorgonia.Node { return x.Stride(v, 0, 2) }
	second := func(v *gorgonia.Node) *gorgonia.Node { return x.Stride(v, 1, 2) }
	safe, known := g.In.SegmentColumn(columnSafe), g.In.SegmentColumn(columnKnown)
	inputs := LossInputs{
		Chosen:        first(scores),
		Rejected:      second(scores),
		Margin:        first(g.In.SegmentColumn(columnMargin)),
		PairMask:      first(g.In.SegMask),
		ChosenSafe:    first(safe),
		RejectedSafe:  second(safe),
		ChosenKnown:   first(known),
		RejectedKnown: second(known),
		Scores:        scores,
		Hidden:        g.Trunk.Hidden,
		Segments:      g.In.Segments,
		Layout:        g.In.Layout,
		SegMask:       g.In.SegMask,
		Pairs:         x.Scale(g.In.Scalar(train.ScalarSeqs), 0.5),
		Step:          g.In.Scalar(train.ScalarStep),
		Extra:         g.Extra,
	}
	return inputs, x.Err()
}
