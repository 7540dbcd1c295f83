package ppo

import (
	"errors"
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/train"
)

// Columns of a micro-batch.
const (
	colOldLogProbs = "old_logprobs"
	colRefLogProbs = "ref_logprobs"
	colAdvantages  = "advantages"
	colReturns     = "returns"
	colOldValues   = "old_values"
	colScores      = "scores"
	extraPrefix    = "extra/"

	scalarTemperature = "temperature"
)

// graph is policy and critic over one micro-batch.
type graph struct {
	in             *model.Inputs
	policy, critic *model.Trunk   // critic is nil with SharedTrunk
	logProbs       *gorgonia.Node // (N)
	entropy        *gorgonia.Node // (N)
	values         *gorgonia.Node // (N)
}

func newGraph(policy, critic *model.Params, cfg Config) (*graph, error) {
	g := &graph{in: model.NewInputs(tensor.Float32, cfg.MicroTokens, cfg.MicroSegments)}
	g.in.Vocab = cfg.Vocab // what is sampled from is what is trained
	var err error
	if g.policy, err = model.NewTrunk(g.in, policy, "policy"); err != nil {
		return nil, err
	}
	valueTrunk := g.policy
	if !cfg.SharedTrunk {
		if g.critic, err = model.NewTrunk(g.in, critic, "critic"); err != nil {
			return nil, err
		}
		valueTrunk = g.critic
	}
	var errs [3]error
	g.logProbs, errs[0] = g.policy.LogProbs()
	g.entropy, errs[1] = g.policy.Entropy()
	g.values, errs[2] = valueTrunk.CountedScores()
	return g, errors.Join(errs[:]...)
}

func (g *graph) trunks() []*model.Trunk {
	if g.critic == nil {
		return []*model.Trunk{g.policy}
	}
	return []*model.Trunk{g.policy, g.critic}
}

// newForward is the pass without gradients that gives an answer's old log-probs, entropies and values and the
// reference's log-probs, all (N), in this order.
func newForward(policy, critic, reference *model.Params, cfg Config) (*train.Forward, error) {
	g, err := newGraph(policy, critic, cfg)
	if err != nil {
		return nil, err
	}
	ref, err := model.NewTrunk(g.in, reference, "reference")
	if err != nil {
		return nil, err
	}
	refLogProbs, err := ref.LogProbs()
	if err != nil {
		return nil, err
	}
	outputs := []*gorgonia.Node{g.logProbs, g.entropy, g.values, refLogProbs}
	f, err := train.NewForward(g.in, outputs, append(g.trunks(), ref))
	if err != nil {
		return nil, err
	}
	f.SetScalar(scalarTemperature, cfg.Temperature)
	return f, nil
}

// newStep is the optimisation step of policy and critic.
func newStep(policy, critic *model.Params, cfg Config) (*train.Step, error) {
	g, err := newGraph(policy, critic, cfg)
	if err != nil {
		return nil, err
	}
	loss := cfg.Loss
	if loss == nil {
		loss = ClippedLoss(cfg)
	}
	terms, err := train.Build(loss, g.lossInputs(cfg))
	if err != nil {
		return nil, fmt.Errorf("loss: %w", err)
	}
	if cfg.MaxKL > 0 && !slices.ContainsFunc(terms.Metrics, func(m Metric) bool { return m.Name == ApproxKL }) {
		return nil, fmt.Errorf("loss: Config.MaxKL needs its metric %q, which it does not have", ApproxKL)
	}
	networks := []train.Network{{
		Name: "policy", Trunk: g.policy, Params: policy, Optim: cfg.Optim.AdamW(), MaxGradNorm: cfg.Optim.MaxGradNorm,
		Schedule: delayed{after: cfg.CriticWarmup * cfg.stepsPerIteration(), then: cfg.schedule(cfg.Optim)},
	}}
	if g.critic != nil {
		networks = append(networks, train.Network{
			Name: "critic", Trunk: g.critic, Params: critic, Optim: cfg.CriticOptim.AdamW(), MaxGradNorm: cfg.CriticOptim.MaxGradNorm,
			Schedule: cfg.schedule(cfg.CriticOptim),
		})
	}
	return train.NewStep(g.in, terms, networks, train.Options{
		Scalars: map[string]float64{scalarTemperature: cfg.Temperature}, Recompute: cfg.Recompute, MaxMemory: cfg.MaxMemory,
	})
}

// lossInputs names the nodes.
func (g *graph) lossInputs(cfg Config) LossInputs {
	extra := map[string]*gorgonia.Node{}
	for _, name := range cfg.ExtraToken {
		extra[name] = g.in.TokenColumn(extraPrefix + name)
	}
	for _, name := range cfg.ExtraSegment {
		extra[name] = g.in.SegmentColumn(extraPrefix + name)
	}
	return LossInputs{
		LogProbs:    g.logProbs,
		OldLogProbs: g.in.TokenColumn(colOldLogProbs),
		RefLogProbs: g.in.TokenColumn(colRefLogProbs),
		Entropy:     g.entropy,
		Advantages:  g.in.TokenColumn(colAdvantages),
		Returns:     g.in.TokenColumn(colReturns),
		Values:      g.values,
		OldValues:   g.in.TokenColumn(colOldValues),
		Mask:        g.in.Mask,
		Hidden:      g.policy.Hidden,
		Segments:    g.in.Segments,
		Scores:      g.in.SegmentColumn(colScores),
		SegMask:     g.in.SegMask,
		Tokens:      g.in.Scalar(train.ScalarTokens),
		Seqs:        g.in.Scalar(train.ScalarSeqs),
		Step:        g.in.Scalar(train.ScalarStep),
		Extra:       extra,
	}
}

// stepsPerIteration is the number of optimisation steps that an iteration plans.
func (c Config) stepsPerIteration() int { return c.Epochs * (c.BatchSize / c.MiniBatch) }

// schedule is a cosine over all planned steps, which is a constant at MinLRRatio 1.
func (c Config) schedule(o optim.Config) optim.Schedule {
	return o.Cosine(c.MinLRRatio, 0, c.Iterations*c.stepsPerIteration())
}

// delayed has a rate of 0 for some steps, in which AdamW changes no weight.
type delayed struct {
	after int
	then  optim.Schedule
}

// LR is the learning rate of a step, counted from 0.
func (d delayed) LR(step int) float64 {
	if step < d.after {
		return 0
	}
	return d.then.LR(step)
}
