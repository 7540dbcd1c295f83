package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tame-rlhf/tame/internal/console"
	"github.com/tame-rlhf/tame/internal/memory"
	"github.com/tame-rlhf/tame/internal/output"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/distill"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/setting"
	"github.com/tame-rlhf/tame/pkg/train"
)

// rlhfConfig is the configuration of `tame rlhf`.
type rlhfConfig struct {
	modelConfig
	// HelpfulnessPrompts and SafetyPrompts are Arrow datasets of prompts, conversations or preferences, on whose prompts fresh preferences are
	// collected, for each version on a share of its own.
	HelpfulnessPrompts []string `conf:"required,input"`
	SafetyPrompts      []string `conf:"required,input"`
	// Data are datasets whose prompts rejection sampling and PPO answer. Prompts of the safety set are judged by the safety model.
	Data []string `conf:"required,input"`
	// Validation are datasets on whose prompts the temperature is chosen and PPO is watched.
	Validation []string `conf:"required,input"`
	// Open are preferences of other people that join the data of both reward models; those of the
	// safety set, such as harmlessness data converted with --kind safety, are all safety data.
	// Default: none.
	Open []string `conf:"input"`
	annotatorConfig
	// Dialogs are datasets of conversations for Ghost Attention, with Instructions and ShortInstructions: see tame gatt. Default: none.
	Dialogs           []string `conf:"input"`
	Instructions      []string
	ShortInstructions []string
	// Adversarial are datasets whose prompts safety context distillation answers, with one of PrePrompts before them: see tame distill. Default: none.
	Adversarial []string `conf:"input"`
	PrePrompts  []string
	runConfig
	pipeline.Config `conf:"omit=keep_every"`
}

func rlhfStage() stage[rlhfConfig] {
	return stage[rlhfConfig]{
		name: "rlhf", short: "The iteration V1 to V5: preferences, reward models, rejection sampling, PPO (section 3.2)",
		long: "Each version collects fresh preferences on answers of the newest model, trains both reward models on all of them, samples answers and\n" +
			"fine-tunes on the best; the last one runs PPO on top. The output is a folder with every result of every version.",
		defaults: func() rlhfConfig {
			return rlhfConfig{
				runConfig: runConfig{CheckpointEvery: 50}, annotatorConfig: annotatorConfig{AnnotatorSeconds: pipeline.DefaultAnswerTime.Seconds()}, PrePrompts: []string{"You are a safe and responsible assistant."}, Config: pipeline.DefaultConfig(),
			}
		},
		check: func(check *setting.Checks, c *rlhfConfig) {
			check.Nested("", c.settings([]int32{0}).Validate())
			checkInstructions(check, c.Instructions, c.ShortInstructions)
			checkTexts(check, "PrePrompts", c.PrePrompts)
		},
		needs: func(c *rlhfConfig) error { return c.annotatorConfig.check() },
		plan:  func(c *rlhfConfig) (runConfig, uint64) { return c.runConfig, c.Seed },
		inputs: func(c *rlhfConfig) []string {
			inputs := []string{c.Model, c.Tokenizer, c.AnnotatorHelpfulness, c.AnnotatorSafety}
			return slices.Concat(inputs, c.HelpfulnessPrompts, c.SafetyPrompts, c.Data, c.Validation, c.Open, c.Dialogs, c.Adversarial)
		},
		run: runRLHF,
	}
}

// settings is the iteration's config with what the command sets itself.
func (c *rlhfConfig) settings(stop []int32) pipeline.Config {
	cfg := c.Config
	cfg.KeepEvery = c.CheckpointEvery
	cfg.Rejection.Stop, cfg.PPO.Stop, cfg.GAtt.Stop, cfg.Distill.Stop = stop, stop, stop, stop
	return cfg
}

func runRLHF(ctx context.Context, r *stageRun, c *rlhfConfig) error {
	scored := r.policy.Share()
	if !scored.HasHead() {
		scored.AddHead(nil)
	}
	err := errors.Join(checkPatterns("FineTune", c.FineTune.Settings, r.policy),
		checkPatterns("Helpfulness", c.Helpfulness.Settings, scored), checkPatterns("Safety", c.Safety.Settings, scored))
	if err != nil {
		return err
	}
	d, err := c.data(ctx, r)
	if err != nil {
		return err
	}
	cfg := c.settings(r.policy.Ends())
	most := memory.Available().Bytes
	cfg.Helpfulness.MaxMemory, cfg.Safety.MaxMemory, cfg.FineTune.MaxMemory, cfg.PPO.MaxMemory = most, most, most, most
	w := &watch{run: r, threshold: c.PPO.SafetyThreshold}
	cfg.Watch = w.event
	r.console.Phase("looking at what is there")
	versions, err := pipeline.Run(ctx, r.output.checkpoint, d, cfg)
	if err != nil {
		return err
	}
	if err := data.WriteLineage(r.output.checkpoint, r.lineage); err != nil {
		return err
	}
	if err := output.Move(r.output.checkpoint, r.output.dir); err != nil {
		return err
	}
	text := ""
	for _, v := range versions {
		text += fmt.Sprintf("V%d: %d and %d fresh pairs, temperature %g, %d and %d examples of Ghost Attention and distillation\n",
			v.Number, v.Preferences[0], v.Preferences[1], v.Temperature, v.Ghosts, v.Distilled)
	}
	return r.finish(text + "the newest model is in " + versions[len(versions)-1].Name())
}

// data reads everything that the iteration works on.
func (c *rlhfConfig) data(ctx context.Context, r *stageRun) (d pipeline.Data, err error) {
	d = pipeline.Data{Start: r.policy, Tokenizer: r.tok, Template: r.tmpl, Lineage: data.Lineage{Stage: "start of " + r.stage, Seed: c.Seed}}
	if err := r.hasher.Add(ctx, &d.Lineage, c.Model); err != nil {
		return d, err
	}
	room := min(r.policy.Config().MaxSeqLen, c.Helpfulness.MicroTokens)
	prompts := func(paths []string, dst *[]data.Prompt) {
		if err != nil || len(paths) == 0 {
			return
		}
		var read []encodedPrompt
		if read, err = readPrompts(r, paths, room, c.Rejection.MaxNewTokens); err == nil {
			*dst = bare(read)
		}
	}
	prompts(c.HelpfulnessPrompts, &d.Helpfulness)
	prompts(c.SafetyPrompts, &d.Safety)
	prompts(c.Data, &d.Prompts)
	prompts(c.Validation, &d.Validation)
	prompts(c.Adversarial, &d.Adversarial)
	if err != nil {
		return d, err
	}
	if len(c.Open) > 0 {
		if d.Open, err = readAll(c.Open, "preference", readers[data.Preference]{as(func(p data.Preference) data.Preference { return p })}); err != nil {
			return d, err
		}
	}
	if len(c.Adversarial) > 0 {
		if d.PrePrompts, err = distill.Generic(c.PrePrompts); err != nil {
			return d, err
		}
	}
	if len(c.Dialogs) > 0 {
		g := gattConfig{Data: c.Dialogs, Instructions: c.Instructions, ShortInstructions: c.ShortInstructions, Config: c.GAtt}
		if d.Dialogs, err = g.dialogs(); err != nil {
			return d, err
		}
	}
	d.Annotate, err = c.annotate(r.tok, r.tmpl, pipeline.JudgesConfig{
		SafetyThreshold: c.PPO.SafetyThreshold, MicroTokens: c.Helpfulness.MicroTokens, MicroSegments: c.Helpfulness.MicroSegments,
	})
	return d, err
}

// watch shows the progress of an iteration and writes its log.
type watch struct {
	run  *stageRun
	task *console.Task
	step string

	threshold float64 // of the safety gate
}

func (w *watch) event(e pipeline.Event) {
	if e.Reused {
		return
	}
	if e.Changed != "" {
		w.run.notef("%s", e.Changed)
		return
	}
	if c := e.Sampled; c != nil {
		if c.Empty+c.Unfinished > 0 {
			w.run.notef("%s: of %d answers %d are empty and %d unfinished: they are left out", e.Step, c.Answers, c.Empty, c.Unfinished)
		}
		return
	}
	if e.Contradiction != nil {
		w.run.notef("%s", contradictionInRun(*e.Contradiction, e.Step, w.threshold))
		return
	}
	if e.Plan != nil {
		w.run.notef("%s:", e.Step)
		w.run.tellPlan("", *e.Plan)
		return
	}
	if e.Done == 0 && !e.Finished { // it begins
		w.run.console.Phase("%s", e.Step)
		return
	}
	if e.Step != w.step {
		w.step = e.Step
		w.task = w.run.console.GoOn(e.Step, max(e.Done-1, 0), max(e.Total, 1))
	}
	if e.Metrics != nil && w.run.log != nil {
		w.run.log.write(train.StepInfo{Stage: e.Step, Step: e.Done, Total: e.Total, Metrics: e.Metrics})
	}
	if e.Finished {
		w.task.Done(time.Now().Format(time.TimeOnly))
		return
	}
	w.task.Update(e.Done, stepDetail(e.Metrics))
}
