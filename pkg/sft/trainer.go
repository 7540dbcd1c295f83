package sft

import (
	"context"
	"errors"
	"fmt"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/run"
	"github.com/tame-rlhf/tame/pkg/train"
)

// Example is a dialogue as token ids; Counted says which of them the loss is taken on. data.Template.EncodeDialog makes
// both from messages, data.Join from a prompt and a sampled answer.
type Example struct {
	Tokens  []int32
	Counted []bool
}

// Encode turns conversations into examples: every answer counts, or the last alone.
func Encode(tmpl *data.Template, dialogs []data.Conversation, turns data.Turns) ([]Example, error) {
	examples := make([]Example, len(dialogs))
	for i, d := range dialogs {
		ids, counted, err := tmpl.EncodeDialog(d.Messages, turns)
		if err != nil {
			return nil, fmt.Errorf("sft: conversation %d: %w", i, err)
		}
		examples[i] = Example{Tokens: ids, Counted: counted}
	}
	return examples, nil
}

// Report is what Train did.
type Report struct {
	Steps  int     // optimisation steps
	Tokens int     // tokens read, prompts included
	Loss   float64 // of the last step, in nats per counted token
}

// Train fine-tunes p in place on the examples. Examples are shuffled anew in each epoch, cut into optimisation batches,
// and packed whole into ragged micro-batches: none is cut, none sees another. When the context ends, p holds the
// weights of the last finished step. With Config.Keep a run that was stopped goes on where it was.
func Train(ctx context.Context, p *model.Params, examples []Example, cfg Config) (Report, error) {
	var report Report
	if err := cfg.Validate(); err != nil {
		return report, err
	}
	lengths, err := check(p, examples)
	if err != nil {
		return report, err
	}

	// 1. Build the graph: trunk, loss, gradients.
	perEpoch := (len(examples) + cfg.BatchSize - 1) / cfg.BatchSize
	total := perEpoch * cfg.Epochs
	step, err := newStep(p, cfg, total)
	if err != nil {
		return report, err
	}
	batch := train.NewBatch(cfg.MicroTokens, cfg.MicroSegments)

	// 2. Go on where an earlier run stopped.
	kept, err := cfg.Keep.Begin("sft", cfg, func(d *run.Digest) {
		for _, e := range examples {
			d.Tokens(e.Tokens)
			for _, counted := range e.Counted {
				d.Bool(counted)
			}
		}
	}, p, step, &report)
	if err != nil {
		return report, fmt.Errorf("sft: %w", err)
	}

	for epoch := report.Steps / perEpoch; epoch < cfg.Epochs; epoch++ {
		// 3. Shuffle, cut into optimisation batches, pack each into micro-batches.
		batches, err := data.Batches(lengths, data.Shuffled(len(examples), cfg.Seed, epoch), cfg.BatchSize, cfg.MicroTokens, cfg.MicroSegments)
		if err != nil {
			return report, fmt.Errorf("sft: %w", err)
		}
		for _, plan := range batches[report.Steps%perEpoch:] {
			// 4. Fill the micro-batches.
			micro, err := batch.Fill(plan, func(r *data.Ragged, i int) error {
				_, err := r.Append(examples[i].Tokens, examples[i].Counted)
				return err
			})
			if err != nil {
				return report, fmt.Errorf("sft: %w", err)
			}

			// 5. One optimisation step on the whole batch.
			result, err := step.Run(ctx, micro)
			if err != nil {
				return report, kept.Stopped(report, fmt.Errorf("sft: step %d: %w", report.Steps, err))
			}

			// 6. Report and keep.
			report.Steps++
			report.Loss = result.Loss
			report.Tokens += train.UsedTokens(micro)
			if cfg.OnStep != nil {
				cfg.OnStep(train.StepInfo{Stage: "sft", Step: report.Steps, Total: total, Metrics: metrics(result, report, perEpoch)})
			}
			if err := kept.Stepped(report); err != nil {
				return report, fmt.Errorf("sft: %w", err)
			}
		}
	}
	return report, nil
}

// check refuses what training could not use, and gives the lengths.
func check(p *model.Params, examples []Example) ([][]int, error) {
	if p == nil {
		return nil, errors.New("sft: the model is nil")
	}
	if len(examples) == 0 {
		return nil, fmt.Errorf("sft: %w", data.ErrEmpty)
	}
	var errs []error
	lengths := make([][]int, len(examples))
	for i, e := range examples {
		lengths[i] = []int{len(e.Tokens)}
		switch {
		case len(e.Counted) != len(e.Tokens):
			errs = append(errs, fmt.Errorf("sft: example %d has %d tokens and %d marks", i, len(e.Tokens), len(e.Counted)))
		case len(e.Tokens) > p.Config().MaxSeqLen:
			errs = append(errs, fmt.Errorf("sft: example %d has %d tokens, the model's context is %d: leave it out", i, len(e.Tokens), p.Config().MaxSeqLen))
		}
		if err := p.Config().CheckTokens(e.Tokens); err != nil {
			errs = append(errs, fmt.Errorf("sft: example %d: %w", i, err))
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
		return nil, fmt.Errorf("sft: %w", err)
	}
	inputs, err := newLossInputs(in, trunk)
	if err != nil {
		return nil, fmt.Errorf("sft: %w", err)
	}
	loss := cfg.Loss
	if loss == nil {
		loss = NLL
	}
	terms, err := train.Build(loss, inputs)
	if err != nil {
		return nil, fmt.Errorf("sft: loss: %w", err)
	}
	return train.NewStep(in, terms, []train.Network{{
		Name:        "model",
		Trunk:       trunk,
		Params:      p,
		Optim:       cfg.Optim.AdamW(),
		Schedule:    cfg.Optim.Cosine(cfg.MinLRRatio, cfg.WarmupSteps, total),
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
	for name, v := range r.Metrics {
		m[name] = v
	}
	return m
}
