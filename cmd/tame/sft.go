package main

import (
	"context"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/curate"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/sft"
)

// sftConfig is the configuration of `tame sft`.
type sftConfig struct {
	modelConfig
	// Data are Arrow datasets of conversations, or of samples, such as the winners of tame reject, whose tokens are taken as they are.
	Data []string `conf:"required,input"`
	runConfig
	// LastTurnOnly takes the loss on the last answer of each conversation alone, instead of all answers. Default false.
	LastTurnOnly bool
	// HeldOut is the share of the first questions that are held out, with all rows that begin with them, to report the loss on them
	// before and after. Default 0.
	HeldOut float64
	// SplitSeed decides which questions are held out: the same ones for the same seed, in whatever file.
	SplitSeed uint64
	sft.Config
}

func sftStage() stage[sftConfig] {
	return stage[sftConfig]{
		name: "sft", short: "Fine-tune a model on conversations (section 3.1)",
		long: "Fine-tunes a model on conversations, or on the best answers of `tame reject`.",
		defaults: func() sftConfig {
			return sftConfig{runConfig: runConfig{CheckpointEvery: 50}, Config: sft.DefaultConfig()}
		},
		check: func(c *sftConfig) error {
			check := c.runConfig.checks()
			checkHeldOut(check, c.HeldOut)
			check.Nested("", c.Config.Validate())
			return check.Err()
		},
		plan: func(c *sftConfig) plan {
			return plan{runConfig: c.runConfig, seed: c.Seed, inputs: append([]string{c.Model, c.Tokenizer}, c.Data...)}
		},
		run: runSFT,
	}
}

// sftRow is a row of a dataset as an example.
type sftRow struct {
	question string
	example  sft.Example
}

// Question is what curate.Split goes by.
func (r sftRow) Question() string { return r.question }

// sftEvaluation is what evaluation.json holds.
type sftEvaluation struct {
	Rows int     `json:"rows"`        // held out
	Loss float64 `json:"loss"`        // nats per counted token, after training
	Base float64 `json:"loss_before"` // the same before
}

func runSFT(ctx context.Context, r *stageRun, c *sftConfig) error {
	p, tok, tmpl, err := c.load()
	if err != nil {
		return err
	}
	rows, err := readAll(c.Data, "messages", sftForms(tmpl, c.LastTurnOnly))
	if err != nil {
		return err
	}
	examples, heldOut, err := splitExamples(r, rows, p.Config().MaxSeqLen, c.HeldOut, c.SplitSeed)
	if err != nil {
		return err
	}
	var evaluation *sftEvaluation
	if len(heldOut) > 0 {
		evaluation = &sftEvaluation{Rows: len(heldOut)}
		if evaluation.Base, err = meanLoss(ctx, p, weighted(heldOut), c.MicroTokens, c.MicroSegments); err != nil {
			return err
		}
	}
	cfg := c.Config
	cfg.Keep = r.keep(tok)
	var done func()
	cfg.OnStep, done = r.onStep("sft")
	report, err := sft.Train(ctx, p, examples, cfg)
	if err != nil {
		return err
	}
	done()
	text := fmt.Sprintf("%d steps on %d examples, %d tokens; loss of the last step %.3f", report.Steps, len(examples), report.Tokens, report.Loss)
	if evaluation == nil {
		return r.finishModel(p, tok, nil, text)
	}
	if evaluation.Loss, err = meanLoss(ctx, p, weighted(heldOut), c.MicroTokens, c.MicroSegments); err != nil {
		return err
	}
	text += fmt.Sprintf("\nheld out: %d rows, loss %.3f before and %.3f after (nats per token of the answers)", evaluation.Rows, evaluation.Base, evaluation.Loss)
	return r.finishModel(p, tok, evaluation, text)
}

// sftForms reads conversations, or samples.
func sftForms(tmpl *data.Template, lastTurnOnly bool) readers[sftRow] {
	turns := data.AllTurns
	if lastTurnOnly {
		turns = data.LastTurn
	}
	return readers[sftRow]{
		encoded(func(c data.Conversation) (row sftRow, err error) {
			row.question = c.Question()
			row.example.Tokens, row.example.Counted, err = tmpl.EncodeDialog(c.Messages, turns)
			return row, err
		}),
		as(func(s data.Sample) (row sftRow) {
			row.question = s.Question()
			row.example.Tokens, row.example.Counted = data.Join(s.Prompt, s.Tokens)
			return row
		}),
	}
}

// splitExamples leaves out what is too long, counting it, and holds some out.
func splitExamples(r *stageRun, rows []sftRow, context int, share float64, seed uint64) (examples, heldOut []sft.Example, err error) {
	var fit []sftRow
	for _, row := range rows {
		if len(row.example.Tokens) <= context {
			fit = append(fit, row)
		}
	}
	if tooLong := len(rows) - len(fit); tooLong > 0 {
		r.notef("%d of %d rows are longer than the model's context of %d tokens and left out", tooLong, len(rows), context)
	}
	train, held, err := curate.Split(fit, share, seed)
	if err != nil {
		return nil, nil, err
	}
	if len(train) == 0 {
		return nil, nil, fmt.Errorf("no row is left to train on: %d are too long, %d held out", len(rows)-len(fit), len(held))
	}
	r.notef("%d rows to train on, %d held out", len(train), len(held))
	return onlyExamples(train), onlyExamples(held), nil
}

func onlyExamples(rows []sftRow) []sft.Example {
	examples := make([]sft.Example, len(rows))
	for i, row := range rows {
		examples[i] = row.example
	}
	return examples
}

// meanLoss is the mean negative log-likelihood of the tokens that count, in nats.
func meanLoss(ctx context.Context, p *model.Params, examples []data.Example, microTokens, microSegments int) (float64, error) {
	loss, err := eval.LossOn(ctx, p, examples, microTokens, microSegments)
	return loss.Mean(), err
}

// weighted are examples with weights in the place of marks.
func weighted(examples []sft.Example) []data.Example {
	list := make([]data.Example, len(examples))
	for i, e := range examples {
		list[i] = data.Example{Tokens: e.Tokens, Weights: make([]float32, len(e.Counted))}
		for k, counted := range e.Counted {
			if counted {
				list[i].Weights[k] = 1
			}
		}
	}
	return list
}
