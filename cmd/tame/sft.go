package main

import (
	"context"
	"fmt"

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
	heldOutConfig
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
			c.heldOutConfig.check(check, c.EvalEvery)
			check.Nested("", c.Config.Validate())
			return check.Err()
		},
		plan: func(c *sftConfig) (runConfig, uint64) { return c.runConfig, c.Seed },
		run:  runSFT,
	}
}

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
	forms := sftForms(tmpl, c.LastTurnOnly)
	rows, err := readAll(c.Data, "messages", forms)
	if err != nil {
		return err
	}
	others, err := readAll(c.HeldOutData, "messages", forms)
	if err != nil {
		return err
	}
	examples, heldOut, tooLong, err := split(r, rows, others, "rows", p.Config().MaxSeqLen, exampleLength, c.heldOutConfig)
	if err != nil {
		return err
	}
	if len(examples) == 0 {
		return fmt.Errorf("no row is left to train on: %d are too long, %d held out", tooLong, len(heldOut))
	}
	r.notef("%d rows to train on, %d held out", len(examples), len(heldOut))
	var evaluation *sftEvaluation
	if len(heldOut) > 0 {
		evaluation = &sftEvaluation{Rows: len(heldOut)}
		if evaluation.Base, err = meanLoss(ctx, p, heldOut, c.MicroTokens, c.MicroSegments); err != nil {
			return err
		}
	}
	cfg := c.Config
	r.warnOfWarmup("warmup_steps", cfg.WarmupSteps, cfg.Passes.Steps(len(examples)))
	cfg.Checkpointing = r.checkpointing(tok)
	var done func()
	cfg.OnStep, done = r.onStep("sft")
	report, err := sft.Train(ctx, p, examples, evaluated(heldOut, cfg.EvalEvery), cfg)
	if err != nil {
		return err
	}
	done()
	text := fmt.Sprintf("%d steps on %d examples, %d tokens; loss of the last step %.3f", report.Steps, len(examples), report.Tokens, report.Loss) + ending(report)
	if evaluation == nil {
		return r.finishModel(p, tok, nil, text)
	}
	if evaluation.Loss, err = meanLoss(ctx, p, heldOut, c.MicroTokens, c.MicroSegments); err != nil {
		return err
	}
	text += fmt.Sprintf("\nheld out: %d rows, loss %.3f before and %.3f after (nats per token of the answers)", evaluation.Rows, evaluation.Base, evaluation.Loss)
	return r.finishModel(p, tok, evaluation, text)
}

func exampleLength(e data.Example) int { return len(e.Tokens) }

// sftForms reads conversations, or samples.
func sftForms(tmpl *data.Template, lastTurnOnly bool) readers[splitRow[data.Example]] {
	turns := data.AllTurns
	if lastTurnOnly {
		turns = data.LastTurn
	}
	return readers[splitRow[data.Example]]{
		encoded(func(c data.Conversation) (splitRow[data.Example], error) {
			e, err := tmpl.EncodeDialog(c.Messages, turns)
			return splitRow[data.Example]{c.Question(), e}, err
		}),
		as(func(s data.Sample) splitRow[data.Example] {
			return splitRow[data.Example]{s.Question(), data.Join(s.Prompt, s.Tokens)}
		}),
	}
}

// meanLoss is the mean negative log-likelihood of the tokens that count, in nats.
func meanLoss(ctx context.Context, p *model.Params, examples []data.Example, microTokens, microSegments int) (float64, error) {
	loss, err := eval.LossOn(ctx, p, examples, microTokens, microSegments)
	return loss.Mean(), err
}
