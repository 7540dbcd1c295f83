package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/gatt"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/sft"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// gattConfig is the configuration of `tame gatt`.
type gattConfig struct {
	modelConfig
	// Data are Arrow datasets of conversations or prompts, whose user messages are asked one after the other. A system message is the
	// dialogue's instruction.
	Data []string `conf:"required,input"`
	// Mix are Arrow datasets of conversations or samples that are trained on beside the dialogues, with the loss on all answers.
	Mix []string `conf:"input"`
	runConfig
	// Instructions are what dialogues without a system message are told to hold to, such as "Always answer in rhymes.": each draws one.
	Instructions []string
	// ShortInstructions are the same in few words, one for each of instructions. Default: none.
	ShortInstructions []string
	// MaxDialogs draws so many dialogues at random. 0 takes all. Default 0.
	MaxDialogs  int
	gatt.Config `conf:"omit=stop repeat"`
	// FineTune is how the model is trained on the dialogues: see tame sft.
	FineTune sft.Config `conf:"omit=eval_every patience"`
}

func gattStage() stage[gattConfig] {
	return stage[gattConfig]{
		name: "gatt", short: "Teach a model to hold to an instruction over many turns: Ghost Attention (section 3.3)",
		long: "Samples dialogues with an instruction in every turn, and fine-tunes the model on them with the instruction in the first turn alone and the\n" +
			"loss on the last answer. The output is a model folder, with the dialogues as text in dialogs.arrow.",
		defaults: func() gattConfig {
			return gattConfig{runConfig: runConfig{CheckpointEvery: 50}, Config: gatt.DefaultConfig(), FineTune: sft.DefaultConfig()}
		},
		check: func(c *gattConfig) error {
			cfg := c.Config
			cfg.Stop = []int32{0} // the tokenizer's, later
			errs := []error{c.runConfig.check(), cfg.Validate(), nested("FineTune", c.FineTune.Validate())}
			if n := len(c.ShortInstructions); n > 0 && n != len(c.Instructions) {
				errs = append(errs, fmt.Errorf("short_instructions has %d texts, want one for each of the %d instructions, or none", n, len(c.Instructions)))
			}
			if c.MaxDialogs < 0 {
				errs = append(errs, fmt.Errorf("max_dialogs is %d, want at least 0", c.MaxDialogs))
			}
			return errors.Join(errs...)
		},
		plan: func(c *gattConfig) plan {
			return plan{runConfig: c.runConfig, seed: c.Seed, inputs: append(append([]string{c.Model, c.Tokenizer}, c.Data...), c.Mix...)}
		},
		run: runGAtt,
	}
}

func runGAtt(ctx context.Context, j *job, c *gattConfig) error {
	p, tok, tmpl, err := c.load()
	if err != nil {
		return err
	}
	dialogs, err := c.dialogs()
	if err != nil {
		return err
	}
	cfg := c.Config
	cfg.Stop = []int32{tok.EOS()}
	parts, err := j.place.openParts(j.lineage)
	if err != nil {
		return err
	}
	var talks []gatt.Transcript
	task := j.console.Start("sampling dialogues", len(dialogs))
	for k, lo := 0, 0; lo < len(dialogs); k, lo = k+1, lo+c.CheckpointEvery {
		chunk := dialogs[lo:min(lo+c.CheckpointEvery, len(dialogs))]
		more, err := remember(parts, fmt.Sprintf("talks-%05d.json", k), func() ([]gatt.Transcript, error) {
			return gatt.Talk(ctx, p, tmpl, tok, chunk, cfg)
		})
		if err != nil {
			return err
		}
		talks = append(talks, more...)
		task.Update(len(talks), "")
	}
	task.Done(fmt.Sprintf("%d dialogues", len(talks)))
	made, err := gatt.Examples(tmpl, talks, cfg)
	if err != nil {
		return err
	}
	examples := make([]data.Example, len(made))
	for i, e := range made {
		examples[i] = data.Example(e)
	}
	turns := 0
	for _, t := range talks {
		turns += len(t.Turns)
	}
	text := fmt.Sprintf("%d dialogues, %.1f turns on average, %d examples", len(talks), float64(turns)/float64(len(talks)), len(examples))
	return j.fineTune(ctx, p, tok, tmpl, examples, c.Mix, c.FineTune, text, func(dir string) error {
		return data.Write(filepath.Join(dir, "dialogs.arrow"), gatt.Conversations(talks, "gatt", cfg), j.lineage)
	})
}

// dialogs are the questions of the datasets, with an instruction each.
func (c *gattConfig) dialogs() ([]gatt.Dialog, error) {
	rows, err := readAll(c.Data, "messages", readers[[]data.Message]{
		as(func(row data.Conversation) []data.Message { return row.Messages }),
		as(func(row data.Prompt) []data.Message { return row.Messages }),
	})
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	var dialogs []gatt.Dialog
	for i, messages := range rows {
		d := gatt.Dialog{ID: data.DialogID(messages)}
		for _, m := range messages {
			switch m.Role {
			case data.System:
				d.Instruction = m.Content
			case data.User:
				d.Questions = append(d.Questions, m.Content)
			}
		}
		if d.Instruction == "" {
			if len(c.Instructions) == 0 {
				return nil, fmt.Errorf("instructions is empty, and dialogue %d has no system message to hold to", i)
			}
			at := data.StreamKey(fmt.Sprint(c.Seed, " ", d.ID)) % uint64(len(c.Instructions))
			d.Instruction = c.Instructions[at]
			if len(c.ShortInstructions) > 0 {
				d.Short = c.ShortInstructions[at]
			}
		}
		if !seen[d.ID] {
			dialogs = append(dialogs, d)
		}
		seen[d.ID] = true
	}
	if c.MaxDialogs == 0 || c.MaxDialogs >= len(dialogs) {
		return dialogs, nil
	}
	picked := make([]gatt.Dialog, c.MaxDialogs)
	for i, at := range data.Shuffled(len(dialogs), c.Seed, 0)[:c.MaxDialogs] {
		picked[i] = dialogs[at]
	}
	return picked, nil
}

// fineTune trains on examples that a stage has made, with others beside them, and finishes the stage. extra writes further files.
func (j *job) fineTune(ctx context.Context, p *model.Params, tok *tokenizer.Tokenizer, tmpl *data.Template, examples []data.Example,
	mix []string, cfg sft.Config, text string, extra func(dir string) error) error {
	rows, err := readAll(mix, "messages", sftForms(tmpl, false))
	if err != nil {
		return err
	}
	for _, row := range rows {
		examples = append(examples, row.example)
	}
	var fit []data.Example
	for _, e := range examples {
		if len(e.Tokens) <= min(p.Config().MaxSeqLen, cfg.MicroTokens) {
			fit = append(fit, e)
		}
	}
	if tooLong := len(examples) - len(fit); tooLong > 0 {
		j.notef("%d of %d examples are longer than the model's context and left out", tooLong, len(examples))
	}
	if len(fit) == 0 {
		return fmt.Errorf("%s: nothing is left to train on", text)
	}
	cfg.Checkpointing = j.checkpointing(tok)
	cfg.Checkpointing.Dir = filepath.Join(j.place.checkpoint, "fine_tune")
	var done func()
	cfg.OnStep, done = j.onStep("fine-tuning")
	report, err := sft.Train(ctx, p, fit, nil, cfg)
	if err != nil {
		return err
	}
	done()
	j.extra = extra
	return j.finishModel(p, tok, nil, fmt.Sprintf("%s\n%d steps on %d examples; loss of the last step %.3f", text, report.Steps, len(fit), report.Loss))
}
