package pipeline

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/tame-rlhf/tame/internal/each"
	"github.com/tame-rlhf/tame/pkg/curate"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
	"github.com/tame-rlhf/tame/pkg/train"
)

// preferences are all pairs that were collected so far, and those of them that no reward model is trained on.
type preferences struct {
	train, heldOut []SampledPreference
}

// add takes fresh pairs. Pairs that ask the same lie on the same side in all versions.
func (p *preferences) add(fresh []SampledPreference, heldOut float64, seed uint64) error {
	train, held, err := curate.Split(fresh, heldOut, seed)
	p.train, p.heldOut = append(p.train, train...), append(p.heldOut, held...)
	return err
}

// rewardModel trains one of the two on top of the start model, on the paper's mix of all preferences so far, and calibrates it on some pairs if c is not nil.
func (r *iteration) rewardModel(ctx context.Context, v int, which string, cfg rewardmodel.Config, pairs []data.Pair, inputs []string, c *rewardmodel.Calibration, on []data.Pair) (*model.Params, error) {
	name := at(v, which)
	var level rewardmodel.Level // what the calibration did
	l, err := r.store.lineage(of(v, which+" model"), struct {
		Config      rewardmodel.Config
		HeldOut     float64
		Calibration *rewardmodel.Calibration `json:",omitempty"`
	}{cfg, r.cfg.HeldOut, c}, r.cfg.Seed, inputs...)
	if err != nil {
		return nil, err
	}
	return r.store.params(name, l, func() (*model.Params, error) {
		p := r.data.Start.Clone()
		p.AddHead(rand.New(rand.NewPCG(r.cfg.Seed, streamHead)))
		cfg.Checkpointing, cfg.OnStep = r.store.keep(name), r.steps(name)
		cfg.OnPlan = r.plans(name)
		if _, err := r.stages.rewardModel(ctx, p, pairs, nil, cfg); err != nil {
			return nil, err
		}
		if c == nil {
			return p, nil
		}
		scorer, err := rewardmodel.NewScorer(p, cfg.MicroTokens, cfg.MicroSegments)
		if err != nil {
			return nil, err
		}
		level, err = rewardmodel.CalibratePairs(ctx, scorer, on, *c)
		return p, err
	}, func(dir string) error { return level.Write(dir) })
}

// Streams of random numbers.
const (
	streamHead uint64 = iota + 1
	streamFirst
	streamSecond
)

// rewardModels trains both on all preferences so far (section 3.2.2).
func (r *iteration) rewardModels(ctx context.Context, v int, inputs []string) (helpfulness, safety *model.Params, err error) {
	forHelpfulness, forSafety := rewardmodel.Mixes(each.Of(r.helpfulness.train, SampledPreference.Pair), each.Of(r.safety.train, SampledPreference.Pair), r.open, r.cfg.Seed)
	inputs = append([]string{startName, openName}, inputs...)
	if helpfulness, err = r.rewardModel(ctx, v, "helpfulness", r.cfg.Helpfulness, forHelpfulness, inputs, &r.cfg.Calibration, r.newestPairs()); err != nil {
		return nil, nil, err
	}
	safety, err = r.rewardModel(ctx, v, "safety", r.cfg.Safety, forSafety, inputs, nil, nil)
	return helpfulness, safety, err
}

// newestPairs are the last version's helpfulness pairs that are not held out, whose answers are
// closest to those that the model will judge.
func (r *iteration) newestPairs() (pairs []data.Pair) {
	rows := r.helpfulness.train
	for _, row := range rows {
		if row.Version == rows[len(rows)-1].Version {
			pairs = append(pairs, row.Pair())
		}
	}
	return pairs
}

// Accuracy is how often a reward model agrees with the annotators on held-out pairs (figures 6 and 11).
type Accuracy struct {
	Model  string      `arrow:"model"` // helpfulness or safety
	Set    data.Set    `arrow:"set"`
	Batch  int         `arrow:"batch"` // the version that the pairs were collected for
	Rating data.Rating `arrow:"rating"`
	Hits   float64     `arrow:"hits"` // a tie counts half
	N      int         `arrow:"n"`
}

// Schema is accuracy v1.
func (Accuracy) Schema() data.Schema { return data.Schema{Name: "accuracy", Version: 1} }

// accuracies measures both models on the held-out pairs of all batches so far, rating by rating.
func (r *iteration) accuracies(ctx context.Context, v int, helpfulness, safety *model.Params, inputs []string) ([]Accuracy, error) {
	name := at(v, "accuracy.arrow")
	l, err := r.store.lineage(of(v, "accuracy"), map[string]float64{"held_out": r.cfg.HeldOut}, r.cfg.Seed,
		append([]string{at(v, "helpfulness"), at(v, "safety")}, inputs...)...)
	if err != nil {
		return nil, err
	}
	return dataset(r.store, name, l, func() (rows []Accuracy, err error) {
		for _, m := range []struct {
			name   string
			params *model.Params
			cfg    rewardmodel.Config
		}{{"helpfulness", helpfulness, r.cfg.Helpfulness}, {"safety", safety, r.cfg.Safety}} {
			scorer, err := rewardmodel.NewScorer(m.params, m.cfg.MicroTokens, m.cfg.MicroSegments)
			if err != nil {
				return nil, err
			}
			for _, set := range []data.Set{data.HelpfulnessSet, data.SafetySet} {
				for batch := 1; batch <= v; batch++ {
					more, err := r.accuracy(ctx, m.name, scorer, set, batch)
					if err != nil {
						return nil, err
					}
					rows = append(rows, more...)
				}
			}
		}
		return rows, nil
	})
}

// accuracy evaluates a model on the held-out pairs of one set and batch.
func (r *iteration) accuracy(ctx context.Context, name string, scorer *rewardmodel.Scorer, set data.Set, batch int) ([]Accuracy, error) {
	held := r.helpfulness.heldOut
	if set == data.SafetySet {
		held = r.safety.heldOut
	}
	var pairs []data.Pair
	for _, row := range held {
		if row.Version == batch {
			pairs = append(pairs, row.Pair())
		}
	}
	if len(pairs) == 0 {
		return nil, nil
	}
	e, err := rewardmodel.Evaluate(ctx, scorer, pairs)
	if err != nil {
		return nil, fmt.Errorf("pipeline: %w", err)
	}
	var rows []Accuracy
	for rating := data.SignificantlyBetter; rating >= data.NegligiblyBetter; rating-- {
		if c := e.ByRating[rating]; c.N > 0 {
			rows = append(rows, Accuracy{Model: name, Set: set, Batch: batch, Rating: rating, Hits: c.Hits, N: c.N})
		}
	}
	return rows, nil
}

// plans tells what training a model is going to do.
func (r *iteration) plans(name string) func(train.Plan) {
	return func(p train.Plan) { r.store.watch(Event{Step: name, Plan: &p}) }
}

// steps tells of optimisation steps.
func (r *iteration) steps(name string) func(train.StepInfo) {
	return func(info train.StepInfo) {
		r.store.watch(Event{Step: name, Done: info.Step, Total: info.Total, Metrics: info.Metrics})
	}
}
