package main

import (
	"context"
	"errors"
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
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
			return errors.Join(c.runConfig.check(), checkShare("held_out", c.HeldOut), c.Config.Validate())
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
	example  data.Example
}

// Question is what data.Split goes by.
func (r sftRow) Question() string { return r.question }

// sftEvaluation is what evaluation.json holds.
type sftEvaluation struct {
	Rows int     `json:"rows"`        // held out
	Loss float64 `json:"loss"`        // nats per counted token, after training
	Base float64 `json:"loss_before"` // the same before
}

func runSFT(ctx context.Context, j *job, c *sftConfig) error {
	p, tok, tmpl, err := c.load()
	if err != nil {
		return err
	}
	rows, err := readAll(c.Data, "messages", sftForms(tmpl, c.LastTurnOnly))
	if err != nil {
		return err
	}
	examples, heldOut, err := splitExamples(j, rows, p.Config().MaxSeqLen, c.HeldOut, c.SplitSeed)
	if err != nil {
		return err
	}
	var evaluation *sftEvaluation
	if len(heldOut) > 0 {
		evaluation = &sftEvaluation{Rows: len(heldOut)}
		if evaluation.Base, err = lossOn(ctx, p, heldOut, c.MicroTokens, c.MicroSegments); err != nil {
			return err
		}
	}
	cfg := c.Config
	cfg.Checkpointing = j.keep(tok)
	var done func()
	cfg.OnStep, done = j.onStep("sft")
	report, err := sft.Train(ctx, p, examples, nil, cfg)
	if err != nil {
		return err
	}
	done()
	text := fmt.Sprintf("%d steps on %d examples, %d tokens; loss of the last step %.3f", report.Steps, len(examples), report.Tokens, report.Loss)
	if evaluation == nil {
		return j.finishModel(p, tok, nil, text)
	}
	if evaluation.Loss, err = lossOn(ctx, p, heldOut, c.MicroTokens, c.MicroSegments); err != nil {
		return err
	}
	text += fmt.Sprintf("\nheld out: %d rows, loss %.3f before and %.3f after (nats per token of the answers)", evaluation.Rows, evaluation.Base, evaluation.Loss)
	return j.finishModel(p, tok, evaluation, text)
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
			row.example, err = tmpl.EncodeDialog(c.Messages, turns)
			return row, err
		}),
		as(func(s data.Sample) sftRow { return sftRow{s.Question(), data.Join(s.Prompt, s.Tokens)} }),
	}
}

// splitExamples leaves out what is too long, counting it, and holds some out.
func splitExamples(j *job, rows []sftRow, context int, share float64, seed uint64) (examples, heldOut []data.Example, err error) {
	var fit []sftRow
	for _, row := range rows {
		if len(row.example.Tokens) <= context {
			fit = append(fit, row)
		}
	}
	if tooLong := len(rows) - len(fit); tooLong > 0 {
		j.notef("%d of %d rows are longer than the model's context of %d tokens and left out", tooLong, len(rows), context)
	}
	train, held, err := data.Split(fit, share, seed)
	if err != nil {
		return nil, nil, err
	}
	if len(train) == 0 {
		return nil, nil, fmt.Errorf("no row is left to train on: %d are too long, %d held out", len(rows)-len(fit), len(held))
	}
	j.notef("%d rows to train on, %d held out", len(train), len(held))
	return onlyExamples(train), onlyExamples(held), nil
}

func onlyExamples(rows []sftRow) []data.Example {
	examples := make([]data.Example, len(rows))
	for i, row := range rows {
		examples[i] = row.example
	}
	return examples
}

// lossOn is the mean negative log-likelihood of the counted tokens, in nats.
func lossOn(ctx context.Context, p *model.Params, examples []data.Example, microTokens, microSegments int) (float64, error) {
	in := model.NewInputs(tensor.Float32, microTokens, microSegments)
	trunk, err := model.NewTrunk(in, p, "model")
	if err != nil {
		return 0, err
	}
	logProbs, err := trunk.LogProbs()
	if err != nil {
		return 0, err
	}
	forward, err := train.NewForward(in, []*gorgonia.Node{logProbs}, []*model.Trunk{trunk})
	if err != nil {
		return 0, err
	}
	lengths := make([][]int, len(examples))
	for i, e := range examples {
		lengths[i] = []int{len(e.Tokens)}
	}
	sum, count := 0.0, 0
	err = forward.Each(ctx, lengths, func(r *data.Ragged, i int) error {
		_, err := r.AppendExample(examples[i])
		return err
	}, func(r *data.Ragged, _ []int, out [][]float32) {
		count += r.Counted()
		for _, x := range out[0] { // 0 where a token does not count
			sum -= float64(x)
		}
	})
	return sum / float64(count), err
}
