package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/tame-rlhf/tame/internal/each"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/distill"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/run"
	"github.com/tame-rlhf/tame/pkg/setting"
	"github.com/tame-rlhf/tame/pkg/sft"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
)

// distillConfig is the configuration of `tame distill`.
type distillConfig struct {
	modelConfig
	// Safety is the folder of the safety reward model.
	Safety string `conf:"required,input"`
	// Data are Arrow datasets whose prompts, adversarial ones, are answered: of prompts, conversations or preferences.
	Data []string `conf:"required,input"`
	// Mix are Arrow datasets of conversations or samples that are trained on together with the distilled answers, so that the model does not
	// learn to decline everything.
	Mix []string `conf:"input"`
	runConfig
	// PrePrompts are put before a prompt, each draws one: generic ones, or, in a run for one category of risks, those that name it.
	PrePrompts []string
	// MaxPrompts draws so many prompts at random. 0 takes all. Default 0.
	MaxPrompts     int
	distill.Config `conf:"omit=stop vocab"`
	// FineTune is how the model is trained on the answers that are kept: see tame sft.
	FineTune sft.Config `conf:"omit=eval_every patience"`
}

func distillStage() stage[distillConfig] {
	return stage[distillConfig]{
		name: "distill", short: "Teach a model to answer as safely as with a pre-prompt: context distillation (section 4.2.4)",
		long: "Samples answers to prompts with a safety pre-prompt and without it, keeps those that the safety model finds better with it, and fine-tunes\n" +
			"the model on them as answers to the bare prompts. The output is a model folder, with the answers in samples.arrow.",
		defaults: func() distillConfig {
			return distillConfig{
				runConfig: runConfig{CheckpointEvery: 50}, PrePrompts: []string{"You are a safe and responsible assistant."},
				Config: distill.DefaultConfig(), FineTune: sft.DefaultConfig(),
			}
		},
		check: func(check *setting.Checks, c *distillConfig) {
			_, err := distill.Generic(c.PrePrompts)
			check.Nested("", c.Config.Validate())
			check.Nested("PrePrompts", err)
			check.Nested("FineTune", c.FineTune.Validate())
			check.AtLeast("MaxPrompts", c.MaxPrompts, 0)
		},
		plan: func(c *distillConfig) (runConfig, uint64) { return c.runConfig, c.Seed },
		run:  runDistill,
	}
}

func runDistill(ctx context.Context, r *stageRun, c *distillConfig) error {
	if err := checkPatterns("FineTune", c.FineTune.Settings, r.policy); err != nil {
		return err
	}
	r.console.Phase("loading the safety model")
	safety, err := pipeline.LoadJudges("", c.Safety, r.tok, pipeline.JudgesConfig{MicroTokens: c.FineTune.MicroTokens, MicroSegments: c.FineTune.MicroSegments})
	if err != nil {
		return err
	}
	pre, err := distill.Generic(c.PrePrompts)
	if err != nil {
		return err
	}
	longest := 0
	for _, text := range c.PrePrompts {
		longest = max(longest, len(r.tok.Encode("<<SYS>>\n"+text+"\n<</SYS>>\n\n")))
	}
	r.console.Phase("reading the data")
	prompts, err := readPrompts(r, c.Data, min(r.policy.Config().MaxSeqLen, c.FineTune.MicroTokens), c.MaxNewTokens+longest)
	if err != nil {
		return err
	}
	prompts = pick(prompts, c.MaxPrompts, c.Seed)
	c.Fit(r.policy, r.tok)
	parts, err := run.OpenParts(r.output.checkpoint, r.lineage)
	if err != nil {
		return err
	}
	task := r.console.Start("sampling", len(prompts))
	candidates, err := run.Values(parts, len(prompts), c.CheckpointEvery, func(lo, hi int) ([]distill.Candidate, error) {
		result, err := distill.Distill(ctx, r.policy, r.tmpl, bare(prompts[lo:hi]), pre, safety.Reward, c.Config)
		return result.Candidates, err
	}, func(done int) { task.Update(done, "") })
	if err != nil {
		return err
	}
	task.Done(fmt.Sprintf("%d pairs of answers", len(candidates)))
	rows, examples, text, err := keptAnswers(candidates, r.tok)
	if err != nil {
		return err
	}
	return r.fineTune(ctx, examples, c.Mix, c.FineTune, text, func(dir string) error {
		return data.Write(filepath.Join(dir, "samples.arrow"), rows, r.lineage)
	})
}

func bare(prompts []encodedPrompt) []data.Prompt {
	return each.Of(prompts, func(p encodedPrompt) data.Prompt { return p.Prompt })
}

// keptAnswers are the distilled answers that were kept, as rows and as examples, and a summary.
func keptAnswers(candidates []distill.Candidate, tok *tokenizer.Tokenizer) (rows []data.Sample, examples []data.Example, text string, err error) {
	before, after, empty := 0.0, 0.0, 0
	for _, c := range candidates {
		before += c.Original.Score / float64(len(candidates))
		after += c.Distilled.Score / float64(len(candidates))
		if c.Distilled.Empty() {
			empty++
		}
		if !c.Kept {
			continue
		}
		a := c.Distilled
		row := data.Sample{
			PromptID: c.Prompt.ID, Messages: c.Prompt.Messages, Prompt: a.Prompt.Tokens, Tokens: a.Tokens, LogProbs: a.LogProbs, Finished: a.Finished, Safety: &a.Score,
		}
		if row.Text, err = tok.Decode(a.Tokens); err != nil {
			return nil, nil, "", err
		}
		rows, examples = append(rows, row), append(examples, a.Example())
	}
	text = fmt.Sprintf("%d pairs of answers: safety %.3f without a pre-prompt, %.3f with it; %d are kept", len(candidates), before, after, len(rows))
	if empty > 0 {
		text += fmt.Sprintf(", %d are empty", empty)
	}
	return rows, examples, text, nil
}
