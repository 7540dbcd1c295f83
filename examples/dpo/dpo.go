package main

import (
	"context"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/train"
)

const (
	beta          = 0.3 // price of moving away from the reference
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

// graph is a policy and its loss, for one train.Step or one train.Forward.
type graph struct {
	in       *model.Inputs
	trunk    *model.Trunk
	logProbs *gorgonia.Node
	terms    train.Terms
}

func newGraph(p *model.Params) (g graph, err error) {
	g.in = model.NewInputs(tensor.Float32, microTokens, microSegments)
	if g.trunk, err = model.NewTrunk(g.in, p, "policy"); err != nil {
		return g, err
	}
	if g.logProbs, err = g.trunk.LogProbs(); err != nil {
		return g, err
	}
	g.terms, err = dpo(lossInputs{
		LogProbs: g.logProbs, RefLogProbs: g.in.TokenColumn(columnRef), Mask: g.in.Mask,
		Segments: g.in.Segments, SegMask: g.in.SegMask, Seqs: g.in.Scalar(train.ScalarSeqs),
	})
	return g, err
}

// add puts a pair into two neighbouring segments of a micro-batch, with the reference's log-probabilities.
func (p *pair) add(r *data.Ragged) error {
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
func reference(ctx context.Context, p *model.Params, pairs []pair) error {
	g, err := newGraph(p)
	if err != nil {
		return err
	}
	forward, err := train.NewForward(g.in, []*gorgonia.Node{g.logProbs}, []*model.Trunk{g.trunk})
	if err != nil {
		return err
	}
	batch := data.NewRagged(microTokens, microSegments)
	for i := range pairs {
		batch.Reset()
		if err := pairs[i].add(batch); err != nil {
			return err
		}
		out, err := forward.Run(ctx, batch)
		if err != nil {
			return err
		}
		for k := range pairs[i].ref {
			lo, hi := batch.Span(k)
			pairs[i].ref[k] = out[0][lo:hi]
		}
	}
	return nil
}

// optimise trains the policy in place on pairs whose reference is known, and tells what each step reported.
func optimise(ctx context.Context, policy *model.Params, pairs []pair, onStep func(train.Result)) error {
	g, err := newGraph(policy)
	if err != nil {
		return err
	}
	step, err := train.NewStep(g.in, g.terms, []train.Network{{
		Name: "policy", Trunk: g.trunk, Optim: optim.DefaultAdamW(), MaxGradNorm: 1,
		Schedule: optim.Constant{Peak: learningRate, Warmup: 3},
	}}, train.Options{})
	if err != nil {
		return err
	}
	lengths := make([][]int, len(pairs)) // of both members of each pair, which share a micro-batch
	for i, p := range pairs {
		lengths[i] = []int{len(p.prompt) + len(p.answers[0]), len(p.prompt) + len(p.answers[1])}
	}
	batch := train.NewBatch(microTokens, microSegments)
	for epoch := range epochs {
		plans, err := data.Batches(lengths, data.Shuffled(len(pairs), 1, epoch), pairsPerStep, microTokens, microSegments)
		if err != nil {
			return err
		}
		for _, plan := range plans { // one optimisation step, cut into micro-batches
			micro, err := batch.Fill(plan, func(r *data.Ragged, i int) error { return pairs[i].add(r) })
			if err != nil {
				return err
			}
			result, err := step.Run(ctx, micro)
			if err != nil {
				return err
			}
			onStep(result.Clone()) // whose maps the next step uses again
		}
	}
	return nil
}
