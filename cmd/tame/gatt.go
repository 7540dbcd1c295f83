package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/gatt"
	"github.com/tame-rlhf/tame/pkg/run"
	"github.com/tame-rlhf/tame/pkg/setting"
	"github.com/tame-rlhf/tame/pkg/sft"
)

// gattConfig is the configuration of `tame gatt`.
type gattConfig struct {
	modelConfig
	// Data are Arrow datasets of conversations or prompts, whose user messages are asked one after the other. A system message is the
	// dialogue's instruction.
	Data []string `conf:"required,input"`
	// Mix are Arrow datasets of conversations or samples that are trained on together with the dialogues, with the loss on all answers.
	Mix []string `conf:"input"`
	runConfig
	// Instructions are what dialogues without a system message are told to follow, such as "Always answer in rhymes.": each draws one.
	Instructions []string
	// ShortInstructions are the same in few words, one for each of instructions. Default: none.
	ShortInstructions []string
	// MaxDialogs draws so many dialogues at random. 0 takes all. Default 0.
	MaxDialogs  int
	gatt.Config `conf:"omit=stop vocab repeat"`
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
		check: func(check *setting.Checks, c *gattConfig) {
			check.Nested("", c.Config.Validate())
			check.Nested("FineTune", c.FineTune.Validate())
			checkInstructions(check, c.Instructions, c.ShortInstructions)
			check.AtLeast("MaxDialogs", c.MaxDialogs, 0)
		},
		plan: func(c *gattConfig) (runConfig, uint64) { return c.runConfig, c.Seed },
		run:  runGAtt,
	}
}

// checkInstructions wants instructions that say something, and a short form of each or of none.
func checkInstructions(check *setting.Checks, instructions, short []string) {
	check.That(len(short) == 0 || len(short) == len(instructions), "ShortInstructions", short,
		fmt.Sprintf("one for each of the %d Instructions, or none", len(instructions)))
	checkTexts(check, "Instructions", instructions)
	checkTexts(check, "ShortInstructions", short)
}

// checkTexts wants texts of a prompt that are not blank and hold no tag of the chat format.
func checkTexts(check *setting.Checks, name string, texts []string) {
	for i, text := range texts {
		at := fmt.Sprintf("%s[%d]", name, i)
		check.That(data.TrimSpace(text) != "", at, text, "a text that is not blank")
		if data.TrimSpace(text) != "" {
			check.Nested(at, data.CheckMessages([]data.Message{{Role: data.User, Content: text}}))
		}
	}
}

func runGAtt(ctx context.Context, r *stageRun, c *gattConfig) error {
	if err := checkPatterns("FineTune", c.FineTune.Settings, r.policy); err != nil {
		return err
	}
	dialogs, err := c.dialogs()
	if err != nil {
		return err
	}
	c.Fit(r.policy, r.tok)
	parts, err := run.OpenParts(r.output.checkpoint, r.lineage)
	if err != nil {
		return err
	}
	task := r.console.Start("sampling dialogues", len(dialogs))
	transcripts, err := run.Values(parts, len(dialogs), c.CheckpointEvery, func(lo, hi int) ([]gatt.Transcript, error) {
		return gatt.SampleDialogues(ctx, r.policy, r.tmpl, r.tok, dialogs[lo:hi], c.Config)
	}, func(done int) { task.Update(done, "") })
	if err != nil {
		return err
	}
	task.Done(fmt.Sprintf("%d dialogues", len(transcripts)))
	examples, err := gatt.Examples(r.tmpl, transcripts, c.Config)
	if err != nil {
		return err
	}
	turns, empty := 0, 0
	for _, t := range transcripts {
		turns += len(t.Turns)
		if t.Empty {
			empty++
		}
	}
	text := fmt.Sprintf("%d dialogues, %.1f turns on average, %d examples", len(transcripts), float64(turns)/float64(len(transcripts)), len(examples))
	if empty > 0 {
		text += fmt.Sprintf("; %d dialogues end early, before an empty answer", empty)
	}
	return r.fineTune(ctx, examples, c.Mix, c.FineTune, text, func(dir string) error {
		return data.Write(filepath.Join(dir, "dialogs.arrow"), gatt.Conversations(transcripts, "gatt", c.Config), r.lineage)
	})
}

// dialogs are the questions of the datasets, with an instruction each.
func (c *gattConfig) dialogs() ([]gatt.Dialog, error) {
	rows, err := readAll(c.Data, "messages or prompts", readers[[]data.Message]{
		partly(func(row data.Conversation) ([]data.Message, error) {
			return row.Messages, data.CheckMessages(row.Messages)
		}),
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
		if data.TrimSpace(d.Instruction) == "" {
			if len(c.Instructions) == 0 {
				return nil, &setting.FieldError{Owner: "tame: Config", Path: "Instructions", Value: c.Instructions,
					Want: fmt.Sprintf("at least one: dialogue %d has no system message to follow", i)}
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
	return pick(dialogs, c.MaxDialogs, c.Seed), nil
}

// fineTune trains on examples that a stage has made, with others beside them, and finishes the stage. extra writes further files.
func (r *stageRun) fineTune(ctx context.Context, examples []data.Example, mix []string, cfg sft.Config, text string, extra func(dir string) error) error {
	r.console.Phase("reading the data")
	rows, err := readAll(mix, "messages", sftForms(r.tmpl, false))
	if err != nil {
		return err
	}
	examples = append(examples, items(rows)...)
	fit, tooLong := upTo(min(r.policy.Config().MaxSeqLen, cfg.MicroTokens), examples, exampleLength)
	if tooLong > 0 {
		r.notef("%d of %d examples are longer than the model's context and left out", tooLong, len(examples))
	}
	if len(fit) == 0 {
		return fmt.Errorf("%s: nothing is left to train on", text)
	}
	r.prepare("fine_tune.", &cfg.MaxMemory, &cfg.OnPlan)
	done := r.follow("fine-tuning", &cfg.Checkpointing, &cfg.OnPhase, &cfg.OnStep)
	cfg.Checkpointing.Dir = filepath.Join(r.output.checkpoint, "fine_tune")
	report, err := sft.Train(ctx, r.policy, fit, nil, cfg)
	if err != nil {
		return err
	}
	done()
	r.extra = extra
	return r.finishModel(nil, fmt.Sprintf("%s\n%d steps on %d examples; loss of the last step %.3f", text, report.Steps, len(fit), report.Loss))
}
