package sft

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/run"
	"github.com/tame-rlhf/tame/pkg/train"
)

// Encode turns conversations into examples: every answer counts by its weight, or the last alone.
func Encode(tmpl *data.Template, dialogs []data.Conversation, turns data.Turns) ([]data.Example, error) {
	examples := make([]data.Example, len(dialogs))
	for i, d := range dialogs {
		var err error
		if examples[i], err = tmpl.EncodeConversation(d, turns); err != nil {
			return nil, fmt.Errorf("sft: conversation %d: %w", i, err)
		}
	}
	return examples, nil
}

// Train fine-tunes p in place on the examples. They are shuffled again in each epoch, cut into
// optimisation batches, and packed whole into ragged micro-batches: none is cut, none sees another.
// heldOut are evaluated every Config.EvalEvery steps, nil for none. See train.Fit for stopping and
// resuming.
func Train(ctx context.Context, p *model.Params, examples, heldOut []data.Example, cfg Config) (train.Report, error) {
	if err := cfg.Validate(); err != nil {
		return train.Report{}, err
	}
	if p == nil {
		return train.Report{}, errors.New("sft: the model is nil")
	}
	if err := check(p.Config(), cfg.Budget, examples, heldOut); err != nil {
		return train.Report{}, err
	}
	batches, err := train.NewEpochs(examples, cfg.BatchSize, cfg.Seed)
	if err != nil {
		return train.Report{}, fmt.Errorf("sft: %w", err)
	}
	report, err := train.Fit(ctx, p, train.Task[data.Example]{
		Stage: "sft", Config: cfg, Data: run.Items((*run.Digest).Example, examples), Digest: (*run.Digest).Example,
		Steps: cfg.Passes.Steps(len(examples)), Warmup: cfg.WarmupSteps,
		Source:  batches,
		Lengths: func(e data.Example) []int { return []int{len(e.Tokens)} },
		Add: func(r *data.Ragged, e data.Example) error {
			_, err := r.AppendExample(e)
			return err
		},
		Loss: func(g train.Graph) (train.Terms, error) {
			in, err := newLossInputs(g)
			if err != nil {
				return train.Terms{}, err
			}
			if cfg.Loss == nil {
				return NLL(in)
			}
			return cfg.Loss(in)
		},
		HeldOut: heldOut,
		Fields:  train.PlanFields{Owner: "sft: Config", Warmup: "WarmupSteps", Steps: "BatchSize", Epochs: "Epochs"},
	}, cfg.Settings)
	if err != nil {
		return report, fmt.Errorf("sft: %w", err)
	}
	return report, nil
}

const maxErrors = 10 // of one kind are enough to see what is wrong

// check refuses examples that training could not use.
func check(c model.Config, budget train.Budget, examples, heldOut []data.Example) error {
	var errs []error
	for i, e := range slices.Concat(examples, heldOut) {
		name := fmt.Sprintf("example %d", i)
		if i >= len(examples) {
			name = fmt.Sprintf("held-out example %d", i-len(examples))
		}
		switch n := len(e.Tokens); {
		case n == 0:
			errs = append(errs, fmt.Errorf("sft: %s has 0 tokens", name))
		case len(e.Weights) != n:
			errs = append(errs, fmt.Errorf("sft: %s has %d tokens and %d weights", name, n, len(e.Weights)))
		case n > c.MaxSeqLen:
			errs = append(errs, fmt.Errorf("sft: %s has %d tokens, the model's context is %d: leave it out", name, n, c.MaxSeqLen))
		case n > budget.MicroTokens:
			errs = append(errs, fmt.Errorf("sft: %s: %w", name, &data.TooLongError{Index: -1, Length: n, Budget: budget.MicroTokens, Unit: "tokens"}))
		}
		if j := slices.IndexFunc(e.Weights, func(w float32) bool { return !(w >= 0 && w <= math.MaxFloat32) }); j >= 0 {
			errs = append(errs, fmt.Errorf("sft: %s: token %d has the weight %v, want a number of at least 0", name, j, e.Weights[j]))
		}
		if err := c.CheckTokens(e.Tokens); err != nil {
			errs = append(errs, fmt.Errorf("sft: %s: %w", name, err))
		}
		if len(errs) >= maxErrors {
			break
		}
	}
	return errors.Join(errs...)
}
