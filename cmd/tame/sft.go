package main

import (
	"context"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/setting"
	"github.com/tame-rlhf/tame/pkg/sft"
	"github.com/tame-rlhf/tame/pkg/train"
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
		check: func(check *setting.Checks, c *sftConfig) {
			c.heldOutConfig.check(check, c.EvalEvery)
			check.Nested("", c.Config.Validate())
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
	if err := checkPatterns("", c.Settings, r.policy); err != nil {
		return err
	}
	examples, heldOut, tooLong, err := split(r, c.Data, "messages", sftForms(r.tmpl, c.LastTurnOnly), "rows", exampleLength, c.heldOutConfig)
	if err != nil {
		return err
	}
	if len(examples) == 0 {
		return fmt.Errorf("no row is left to train on: %d are too long, %d held out", tooLong, len(heldOut))
	}
	r.notef("%d rows to train on, %d held out", len(examples), len(heldOut))
	evaluation := sftEvaluation{Rows: len(heldOut)}
	r.console.Phase("evaluating what is held out")
	if evaluation.Base, err = meanLoss(ctx, r.policy, heldOut, c.Budget); err != nil {
		return err
	}
	r.prepare("", &c.MaxMemory, &c.OnPlan)
	done := r.follow("sft", &c.Checkpointing, &c.OnPhase, &c.OnStep)
	report, err := sft.Train(ctx, r.policy, examples, evaluated(heldOut, c.EvalEvery), c.Config)
	if err != nil {
		return err
	}
	done()
	text := fmt.Sprintf("%d steps on %d examples, %d tokens; loss of the last step %.3f", report.Steps, len(examples), report.Tokens, report.Loss) + ending(report)
	return r.finishLoss(ctx, text, evaluation, heldOut, c.Budget, "rows", "nats per token of the answers")
}

// finishLoss evaluates the trained model on what is held out, if anything is, and finishes the stage.
func (r *stageRun) finishLoss(ctx context.Context, text string, e sftEvaluation, held []data.Example, b train.Budget, rows, unit string) (err error) {
	if len(held) == 0 {
		return r.finishModel(nil, text)
	}
	r.console.Phase("evaluating what is held out")
	if e.Loss, err = meanLoss(ctx, r.policy, held, b); err != nil {
		return err
	}
	text += fmt.Sprintf("\nheld out: %d %s, loss %.3f before and %.3f after (%s)", e.Rows, rows, e.Base, e.Loss, unit)
	return r.finishModel(e, text)
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
			e, err := tmpl.EncodeConversation(c, turns)
			return splitRow[data.Example]{c.Question(), e}, err
		}),
		as(func(s data.Sample) splitRow[data.Example] {
			return splitRow[data.Example]{s.Question(), data.Join(s.Prompt, s.Tokens)}
		}),
	}
}

// meanLoss is the mean negative log-likelihood of the tokens that count, in nats; 0 of nothing.
func meanLoss(ctx context.Context, p *model.Params, examples []data.Example, b train.Budget) (float64, error) {
	if len(examples) == 0 {
		return 0, nil
	}
	loss, err := eval.LossOn(ctx, p, examples, b.MicroTokens, b.MicroSegments)
	return loss.Mean(), err
}
