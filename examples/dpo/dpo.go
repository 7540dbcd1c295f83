package main

import (
	"context"

	"gorgonia.org/gorgonia"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/train"
)

const (
	beta          = 0.3 // the KL coefficient of the reference
	learningRate  = 5e-4
	epochs        = 4
	pairsPerStep  = 24
	microTokens   = 256            // N, token slots of a micro-batch
	microSegments = 32             // S, its segments: two for each pair
	columnRef     = "ref_logprobs" // (N), log π_ref of each slot's action
)

// pair is a prompt with its chosen and its rejected answer.
type pair struct {
	prompt  []int32
	answers [2][]int32
	ref     [2][]float32 // log π_ref, slot by slot of prompt and answer; nil before reference
}

// lossInputs are the nodes of a micro-batch; pair i is the segments 2i and 2i+1.
type lossInputs struct {
	LogProbs    *gorgonia.Node // (N) log π(a|s), differentiable
	RefLogProbs *gorgonia.Node // (N) log π_ref(a|s)
	Mask        *gorgonia.Node // (N) 1 where the action is an answer token
	Segments    *gorgonia.Node // (N) int32, the segment of each token
	SegMask     *gorgonia.Node // (S) 1 for used segments
	Seqs        *gorgonia.Node // () answers of the whole optimisation batch
}

// dpo is equation 7, -1/P Σ log σ(r_chosen - r_rejected), with the implicit reward r = β Σ_t (log π - log π_ref).
func dpo(in lossInputs) (train.Terms, error) {
	x := ops.Expr(in.LogProbs.Graph())
	ratio := x.SegmentSum(x.Sub(in.LogProbs, in.RefLogProbs), in.Mask, in.Segments, in.SegMask) // (S)
	reward := x.Scale(ratio, beta)
	chosen, rejected := x.Stride(reward, 0, 2), x.Stride(reward, 1, 2) // (S/2)
	mean := func(v *gorgonia.Node) *gorgonia.Node {
		return x.MaskedMean(v, x.Stride(in.SegMask, 0, 2), x.Scale(in.Seqs, 0.5))
	}
	return train.Terms{
		Loss: x.Neg(mean(x.LogSigmoid(x.Sub(chosen, rejected)))),
		Metrics: []train.Metric{
			{Name: "accuracy", Value: mean(x.Greater(chosen, rejected))},
			{Name: "margin", Value: mean(x.Sub(chosen, rejected))},
		},
	}, x.Err()
}

// loss builds dpo on a model, which the graph calls its trunk.
func loss(g train.Graph) (train.Terms, error) {
	logProbs, err := g.Trunk.LogProbs()
	if err != nil {
		return train.Terms{}, err
	}
	return dpo(lossInputs{
		LogProbs: logProbs, RefLogProbs: g.In.TokenColumn(columnRef), Mask: g.In.Mask,
		Segments: g.In.Segments, SegMask: g.In.SegMask, Seqs: g.In.Scalar(train.ScalarSeqs),
	})
}

// lengths are the tokens of both members of a pair, which share a micro-batch.
func lengths(p *pair) []int {
	return []int{len(p.prompt) + len(p.answers[0]), len(p.prompt) + len(p.answers[1])}
}

// add puts a pair into two neighbouring segments of a micro-batch, with the reference's log-probabilities.
func add(r *data.Ragged, p *pair) error {
	for k, answer := range p.answers {
		seg, err := r.AppendExample(data.Join(p.prompt, answer))
		if err != nil {
			return err
		}
		lo, hi := r.Span(seg)
		copy(r.TokenColumn(columnRef)[lo:hi], p.ref[k])
	}
	return nil
}

// reference remembers the pairs' log-probabilities under the model as it is now.
func reference(ctx context.Context, p *model.Params, pairs []*pair) error {
	forward, err := train.ForwardOf(p, "reference", microTokens, microSegments, (*model.Trunk).LogProbs)
	if err != nil {
		return err
	}
	groups := make([][]int, len(pairs))
	for i, p := range pairs {
		groups[i] = lengths(p)
	}
	put := func(r *data.Ragged, i int) error { return add(r, pairs[i]) }
	return forward.Each(ctx, groups, put, func(r *data.Ragged, items []int, out [][]float32) {
		for k, i := range items {
			for member := range 2 {
				lo, hi := r.Span(2*k + member)
				pairs[i].ref[member] = out[0][lo:hi]
			}
		}
	})
}

// optimise trains the policy in place on pairs whose reference is known, and calls onStep after each step.
func optimise(ctx context.Context, policy *model.Params, pairs []*pair, onStep func(train.StepInfo)) error {
	batches, err := train.NewEpochs(pairs, pairsPerStep, 1)
	if err != nil {
		return err
	}
	settings := train.DefaultSettings(learningRate)
	settings.MinLRRatio = 1 // a constant rate
	settings.MicroTokens, settings.MicroSegments = microTokens, microSegments
	settings.OnStep = onStep
	_, err = train.Fit(ctx, policy, train.Task[*pair]{
		Stage: "dpo", Steps: epochs * batches.Steps(), Warmup: 3, Source: batches, Lengths: lengths, Add: add, Loss: loss,
	}, settings)
	return err
}
