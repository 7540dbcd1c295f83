package rewardmodel

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/run"
	"github.com/tame-rlhf/tame/pkg/train"
)

// Train trains p, which needs a scalar head (Params.AddHead), in place on the pairs. heldOut are
// evaluated every Config.EvalEvery steps, nil for none; the best evaluation is the one with the
// highest accuracy, of equal ones that with the lowest loss. See train.Fit for stopping and resuming.
func Train(ctx context.Context, p *model.Params, pairs, heldOut []data.Pair, cfg Config) (train.Report, error) {
	if err := cfg.Validate(); err != nil {
		return train.Report{}, err
	}
	if err := check(p, cfg.Budget, pairs, heldOut); err != nil {
		return train.Report{}, err
	}
	batches, err := train.NewEpochs(pairs, cfg.BatchSize, cfg.Seed)
	if err != nil {
		return train.Report{}, fmt.Errorf("rewardmodel: %w", err)
	}
	total := cfg.Passes.Steps(len(pairs))
	report, err := train.Fit(ctx, p, train.Task[data.Pair]{
		Stage: "reward", Config: cfg, Data: run.Items((*run.Digest).Pair, pairs), Digest: (*run.Digest).Pair,
		Steps: total, Warmup: cfg.warmup(total),
		Source:  batches,
		Lengths: lengths,
		Add:     func(r *data.Ragged, pair data.Pair) error { return appendPair(r, pair, cfg.Margins) },
		Loss:    cfg.terms,
		HeldOut: heldOut,
		Better:  moreAccurate,
		Fields:  train.PlanFields{Owner: "rewardmodel: Config", Warmup: "MinWarmupSteps", Steps: "BatchSize", Epochs: "Epochs"},
	}, cfg.Settings)
	if err != nil {
		return report, fmt.Errorf("rewardmodel: %w", err)
	}
	return report, nil
}

// terms builds the loss.
func (c Config) terms(g train.Graph) (train.Terms, error) {
	in, err := newLossInputs(g)
	if err != nil {
		return train.Terms{}, err
	}
	loss := c.Loss
	if loss == nil {
		loss = RankingLoss(c.SafetyWeight)
	}
	return loss(in)
}

// moreAccurate compares evaluations. A custom loss without the metric is compared by the loss alone.
func moreAccurate(now, best map[string]float64) bool {
	if a, b := now["accuracy"], best["accuracy"]; a != b {
		return a > b
	}
	return now["loss"] < best["loss"]
}

// appendPair puts a pair into the micro-batch: prompt and chosen answer in an even segment, and behind it what the rejected
// one has of its own, as a branch.
func appendPair(r *data.Ragged, p data.Pair, margins Margins) error {
	first, err := r.AppendExample(data.Join(p.Prompt, p.Chosen))
	if err != nil {
		return err
	}
	rejected := data.Join(p.Prompt, p.Rejected)
	shared := sharedTokens(p.Prompt, p.Chosen, p.Rejected)
	if _, err := r.AppendBranch(shared, rejected.Tokens[shared:], rejected.Counted()[shared:]); err != nil {
		return err
	}
	r.SegmentColumn(columnMargin)[first] = float32(margins.Of(p.Rating))
	for k, label := range [2]data.Safety{p.ChosenSafe, p.RejectedSafe} {
		r.SegmentColumn(columnSafe)[first+k] = mark(label == data.Safe)
		r.SegmentColumn(columnKnown)[first+k] = mark(label != data.SafetyUnknown)
	}
	return nil
}

func mark(b bool) float32 {
	if b {
		return 1
	}
	return 0
}

// lengths are those of a pair's segments; see appendPair.
func lengths(p data.Pair) []int {
	return []int{len(p.Prompt) + len(p.Chosen), len(p.Prompt) + len(p.Rejected) - sharedTokens(p.Prompt, p.Chosen, p.Rejected)}
}

const maxErrors = 10 // of one kind are enough to see what is wrong

// check refuses what training could not use.
func check(p *model.Params, budget train.Budget, pairs, heldOut []data.Pair) error {
	if p == nil {
		return errors.New("rewardmodel: the model is nil")
	}
	if !p.HasHead() {
		return errors.New("rewardmodel: the model has no scalar head: call Params.AddHead first")
	}
	var errs []error
	for i, pair := range slices.Concat(pairs, heldOut) {
		name := fmt.Sprintf("pair %d", i)
		if i >= len(pairs) {
			name = fmt.Sprintf("held-out pair %d", i-len(pairs))
		}
		longest := len(pair.Prompt) + max(len(pair.Chosen), len(pair.Rejected))
		switch {
		case len(pair.Prompt) == 0 || len(pair.Chosen) == 0 || len(pair.Rejected) == 0:
			errs = append(errs, fmt.Errorf("rewardmodel: %s: prompt or answer without tokens", name))
		case longest > p.Config().MaxSeqLen:
			errs = append(errs, fmt.Errorf("rewardmodel: %s has %d tokens, the model's context is %d: leave it out", name, longest, p.Config().MaxSeqLen))
		default:
			segments := lengths(pair)
			if n := segments[0] + segments[1]; n > budget.MicroTokens {
				errs = append(errs, fmt.Errorf("rewardmodel: %s: %w", name, &data.TooLongError{Index: -1, Length: n, Budget: budget.MicroTokens, Unit: "tokens"}))
			}
		}
		for _, ids := range [][]int32{pair.Prompt, pair.Chosen, pair.Rejected} {
			if err := p.Config().CheckTokens(ids); err != nil {
				errs = append(errs, fmt.Errorf("rewardmodel: %s: %w", name, err))
			}
		}
		if len(errs) >= maxErrors {
			break
		}
	}
	return errors.Join(errs...)
}
