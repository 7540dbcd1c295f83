package rewardmodel

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/run"
	"github.com/tame-rlhf/tame/pkg/train"
)

// Report is what Train did.
type Report struct {
	Steps    int     // optimisation steps
	Tokens   int     // tokens read
	Loss     float64 // of the last step
	Accuracy float64 // of the last step, on the pairs before they were trained on
}

// Train trains p, which needs a scalar head (Params.AddHead), in place on the pairs. When the context ends, p holds the
// weights of the last finished step. With Config.Keep a run that was stopped goes on where it was.
func Train(ctx context.Context, p *model.Params, pairs []Pair, cfg Config) (Report, error) {
	var report Report
	if err := cfg.Validate(); err != nil {
		return report, err
	}
	lengths, err := check(p, pairs)
	if err != nil {
		return report, err
	}

	// 1. Build the graph: trunk, scalar head at each answer's last token, loss, gradients.
	perEpoch := (len(pairs) + cfg.BatchSize - 1) / cfg.BatchSize
	total := perEpoch * cfg.Epochs
	step, err := newStep(p, cfg, total)
	if err != nil {
		return report, err
	}
	batch := train.NewBatch(cfg.MicroTokens, cfg.MicroSegments)

	// 2. Go on where an earlier run stopped.
	kept, err := cfg.Keep.Begin("reward", cfg, func(d *run.Digest) {
		for _, pair := range pairs {
			d.Pair(data.Pair(pair))
		}
	}, p, step, &report)
	if err != nil {
		return report, fmt.Errorf("rewardmodel: %w", err)
	}

	for epoch := report.Steps / perEpoch; epoch < cfg.Epochs; epoch++ {
		// 3. Shuffle, cut into optimisation batches; the two answers of a pair share a micro-batch.
		batches, err := data.Batches(lengths, data.Shuffled(len(pairs), cfg.Seed, epoch), cfg.BatchSize, cfg.MicroTokens, cfg.MicroSegments)
		if err != nil {
			return report, fmt.Errorf("rewardmodel: %w", err)
		}
		for _, plan := range batches[report.Steps%perEpoch:] {
			// 4. Fill the micro-batches.
			micro, err := batch.Fill(plan, func(r *data.Ragged, i int) error { return appendPair(r, pairs[i], cfg.Margins) })
			if err != nil {
				return report, fmt.Errorf("rewardmodel: %w", err)
			}

			// 5. One optimisation step on the whole batch.
			result, err := step.Run(ctx, micro)
			if err != nil {
				return report, kept.Stopped(report, fmt.Errorf("rewardmodel: step %d: %w", report.Steps, err))
			}

			// 6. Report and keep.
			report.Steps++
			report.Loss, report.Accuracy = result.Loss, result.Metrics["accuracy"]
			report.Tokens += train.UsedTokens(micro)
			if cfg.OnStep != nil {
				cfg.OnStep(train.StepInfo{Stage: "reward", Step: report.Steps, Total: total, Metrics: metrics(result, report, perEpoch)})
			}
			if err := kept.Stepped(report); err != nil {
				return report, fmt.Errorf("rewardmodel: %w", err)
			}
		}
	}
	return report, nil
}

// appendPair puts a pair into the micro-batch: prompt and chosen answer in an even segment, and behind it what the rejected
// one has of its own, as a branch.
func appendPair(r *data.Ragged, p Pair, margins Margins) error {
	chosen, counted := data.Join(p.Prompt, p.Chosen)
	first, err := r.Append(chosen, counted)
	if err != nil {
		return err
	}
	rejected, counted := data.Join(p.Prompt, p.Rejected)
	shared := sharedTokens(p.Prompt, p.Chosen, p.Rejected)
	if _, err := r.AppendBranch(shared, rejected[shared:], counted[shared:]); err != nil {
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

// check refuses what training could not use, and gives the lengths of each pair's segments; see appendPair.
func check(p *model.Params, pairs []Pair) ([][]int, error) {
	if p == nil {
		return nil, errors.New("rewardmodel: the model is nil")
	}
	if len(pairs) == 0 {
		return nil, fmt.Errorf("rewardmodel: %w", data.ErrEmpty)
	}
	if !p.HasHead() {
		return nil, errors.New("rewardmodel: the model has no scalar head: call Params.AddHead first")
	}
	var errs []error
	lengths := make([][]int, len(pairs))
	for i, pair := range pairs {
		chosen, rejected := len(pair.Prompt)+len(pair.Chosen), len(pair.Prompt)+len(pair.Rejected)
		lengths[i] = []int{chosen, rejected - sharedTokens(pair.Prompt, pair.Chosen, pair.Rejected)}
		switch longest := max(chosen, rejected); {
		case len(pair.Prompt) == 0 || len(pair.Chosen) == 0 || len(pair.Rejected) == 0:
			errs = append(errs, fmt.Errorf("rewardmodel: pair %d: prompt or answer without tokens", i))
		case longest > p.Config().MaxSeqLen:
			errs = append(errs, fmt.Errorf("rewardmodel: pair %d has %d tokens, the model's context is %d: leave it out", i, longest, p.Config().MaxSeqLen))
		}
		for _, ids := range [][]int32{pair.Prompt, pair.Chosen, pair.Rejected} {
			if err := p.Config().CheckTokens(ids); err != nil {
				errs = append(errs, fmt.Errorf("rewardmodel: pair %d: %w", i, err))
			}
		}
		if len(errs) >= maxErrors {
			break
		}
	}
	return lengths, errors.Join(errs...)
}

const maxErrors = 10 // of one kind are enough to see what is wrong

func newStep(p *model.Params, cfg Config, total int) (*train.Step, error) {
	in := model.NewInputs(tensor.Float32, cfg.MicroTokens, cfg.MicroSegments)
	trunk, err := model.NewTrunk(in, p, "model")
	if err != nil {
		return nil, fmt.Errorf("rewardmodel: %w", err)
	}
	inputs, err := newLossInputs(in, trunk)
	if err != nil {
		return nil, fmt.Errorf("rewardmodel: %w", err)
	}
	loss := cfg.Loss
	if loss == nil {
		loss = RankingLoss(cfg.SafetyWeight)
	}
	terms, err := train.Build(loss, inputs)
	if err != nil {
		return nil, fmt.Errorf("rewardmodel: loss: %w", err)
	}
	return train.NewStep(in, terms, []train.Network{{
		Name:        "model",
		Trunk:       trunk,
		Params:      p,
		Optim:       cfg.Optim.AdamW(),
		Schedule:    cfg.Optim.Cosine(cfg.MinLRRatio, cfg.warmup(total), total),
		MaxGradNorm: cfg.Optim.MaxGradNorm,
	}}, train.Options{Recompute: cfg.Recompute})
}

func metrics(r train.Result, report Report, perEpoch int) map[string]float64 {
	m := map[string]float64{
		"loss":          r.Loss,
		"num_tokens":    float64(report.Tokens),
		"learning_rate": r.LR["model"],
		"grad_norm":     r.GradNorm["model"],
		"epoch":         float64(report.Steps) / float64(perEpoch),
	}
	maps.Copy(m, r.Metrics)
	return m
}
