package main

import (
	"context"
	"fmt"
	"math"

	"github.com/tame-rlhf/tame/pkg/curate"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/ppo"
	"github.com/tame-rlhf/tame/pkg/setting"
)

// ppoConfig is the configuration of `tame ppo`.
type ppoConfig struct {
	modelConfig
	judgesConfig
	// Critic is the model that the value function starts from, one with a scalar head. Default: the helpfulness model, or the only
	// reward model. Not used with shared_trunk.
	Critic string `conf:"input"`
	// Data are Arrow datasets whose prompts are answered: of prompts, conversations or preferences.
	Data []string `conf:"required,input"`
	// HeldOutData are such datasets for the evaluation alone, which chooses the best policy and stops the training.
	HeldOutData []string `conf:"input"`
	runConfig
	// HeldOut is the share of the first questions in data that are held out for the evaluation, if there is no held_out_data. 0 does
	// without an evaluation: the last policy is taken. Default 0.05.
	HeldOut float64
	// SplitSeed decides which questions are held out: the same ones for the same seed, in whatever file.
	SplitSeed  uint64
	ppo.Config `conf:"omit=stop vocab extra_segment extra_token"`
}

func ppoStage() stage[ppoConfig] {
	return stage[ppoConfig]{
		name: "ppo", short: "Train a policy by PPO against reward models (section 3.2.3)",
		long: "Trains a chat model by PPO against one or two reward models, and keeps the policy that does best on held-out prompts.",
		defaults: func() ppoConfig {
			return ppoConfig{runConfig: runConfig{CheckpointEvery: 1}, HeldOut: 0.05, Config: ppo.DefaultConfig()}
		},
		check: func(check *setting.Checks, c *ppoConfig) {
			checkHeldOut(check, c.HeldOut)
			check.Nested("", c.Config.Validate())
		},
		needs: func(c *ppoConfig) error {
			if err := c.judgesConfig.check(); err != nil {
				return err
			}
			check := setting.NewChecks("tame: Config")
			check.That(!c.Gate || c.Helpfulness != "" && c.Safety != "", "Gate", c.Gate, "false, or both reward models, Helpfulness and Safety")
			return check.Err()
		},
		plan: func(c *ppoConfig) (runConfig, uint64) { return c.runConfig, c.Seed },
		run:  runPPO,
	}
}

func runPPO(ctx context.Context, r *stageRun, c *ppoConfig) error {
	c.Fit(r.policy, r.tok)
	if !c.Gate && c.Helpfulness != "" && c.Safety != "" {
		r.notef("gate is false: the safety model is not asked")
		c.Safety = ""
	}
	r.console.Phase("loading the reward models")
	judges, err := pipeline.LoadJudges(c.Helpfulness, c.Safety, r.tok, pipeline.JudgesConfig{
		SafetyThreshold: c.SafetyThreshold, MicroTokens: c.MicroTokens, MicroSegments: c.MicroSegments,
		OnContradiction: r.onContradiction(c.Helpfulness),
	})
	if err != nil {
		return err
	}
	critic, err := c.critic(r.policy, judges)
	if err != nil {
		return err
	}
	context := min(r.policy.Config().MaxSeqLen, c.MicroTokens)
	if critic != nil {
		context = min(context, critic.Config().MaxSeqLen)
	}
	r.console.Phase("reading the data")
	prompts, heldOut, err := c.prompts(r, context)
	if err != nil {
		return err
	}
	r.notef("%d prompts to train on, %d for the evaluation", len(prompts), len(heldOut))
	r.prepare("", &c.MaxMemory, &c.OnPlan)
	done := r.follow("ppo", &c.Checkpointing, &c.OnPhase, &c.OnStep)
	report, err := ppo.Train(ctx, r.policy, critic, tokenPrompts(prompts), tokenPrompts(heldOut), judges, c.Config)
	if err != nil {
		return err
	}
	done()
	r.policy.DropHead() // of the shared trunk: a policy is no reward model
	text := fmt.Sprintf("%d iterations, %d optimisation steps", report.Iterations, report.Steps)
	evaluation := ppoEvaluation{Iterations: report.Iterations, Steps: report.Steps, BestIteration: report.BestIteration, Stopped: report.Stopped != ""}
	if report.Stopped != "" {
		text += "; stopped early: " + report.Stopped
	}
	if !math.IsNaN(report.BestScore) {
		evaluation.BestScore = &report.BestScore
		text += fmt.Sprintf("; the policy is that of iteration %d, with a score of %.3f on the held-out prompts", report.BestIteration, report.BestScore)
	}
	return r.finishModel(evaluation, text)
}

// ppoEvaluation is evaluation.json.
type ppoEvaluation struct {
	Iterations    int      `json:"iterations"`
	Steps         int      `json:"steps"`
	BestIteration int      `json:"best_iteration"`
	BestScore     *float64 `json:"best_score,omitempty"` // held-out score, see ppo.Report
	Stopped       bool     `json:"stopped_early"`
}

// critic is the model of the value function, nil if the policy has it.
func (c *ppoConfig) critic(policy *model.Params, judges *pipeline.Judges) (*model.Params, error) {
	if c.SharedTrunk {
		if !policy.HasHead() {
			policy.AddHead(nil)
		}
		return nil, nil
	}
	if c.Critic == "" {
		return judges.Model().Clone(), nil // trained in place, while the reward model keeps judging
	}
	p, err := model.Load(c.Critic)
	if err != nil {
		return nil, err
	}
	if !p.HasHead() {
		return nil, fmt.Errorf("%s has no scalar head, want a reward model as the critic", c.Critic)
	}
	return p, nil
}

// prompts are those to train on and those of the evaluation.
func (c *ppoConfig) prompts(r *stageRun, context int) (prompts, heldOut []encodedPrompt, err error) {
	if prompts, err = readPrompts(r, c.Data, context, c.MaxNewTokens); err != nil {
		return nil, nil, err
	}
	if len(c.HeldOutData) > 0 {
		heldOut, err = readPrompts(r, c.HeldOutData, context, c.MaxNewTokens)
		return prompts, heldOut, err
	}
	total := len(prompts)
	if prompts, heldOut, err = curate.Split(prompts, c.HeldOut, c.SplitSeed); err != nil {
		return nil, nil, err
	}
	r.warnOfHeldOut("prompts", c.HeldOut, total, len(heldOut))
	if len(prompts) == 0 {
		return nil, nil, fmt.Errorf("all %d prompts are held out: lower held_out", total)
	}
	return prompts, heldOut, nil
}
