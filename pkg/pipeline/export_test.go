package pipeline

import (
	"context"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/ppo"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
	"github.com/tame-rlhf/tame/pkg/sft"
	"github.com/tame-rlhf/tame/pkg/train"
)

// Spy is called before each stage of a run with what the stage is given. Judges, if not nil, makes
// the judges of a version.
type Spy struct {
	RewardModel func(p *model.Params, pairs []data.Pair, cfg rewardmodel.Config)
	FineTune    func(p *model.Params, examples []data.Example, cfg sft.Config)
	PPO         func(policy, critic *model.Params, prompts, heldOut []data.TokenPrompt, r ppo.Rewarder, cfg ppo.Config)
	Judges      func(version int, helpfulness, safety *model.Params, cfg JudgesConfig) (*Judges, error)
}

// Run is pipeline.Run with the spy.
func (s Spy) Run(ctx context.Context, dir string, d Data, cfg Config) ([]Version, error) {
	real, st := trained(), trained()
	st.rewardModel = func(ctx context.Context, p *model.Params, pairs, heldOut []data.Pair, cfg rewardmodel.Config) (train.Report, error) {
		if s.RewardModel != nil {
			s.RewardModel(p, pairs, cfg)
		}
		return real.rewardModel(ctx, p, pairs, heldOut, cfg)
	}
	st.fineTune = func(ctx context.Context, p *model.Params, examples, heldOut []data.Example, cfg sft.Config) (train.Report, error) {
		if s.FineTune != nil {
			s.FineTune(p, examples, cfg)
		}
		return real.fineTune(ctx, p, examples, heldOut, cfg)
	}
	st.ppo = func(ctx context.Context, policy, critic *model.Params, prompts, heldOut []data.TokenPrompt, r ppo.Rewarder, cfg ppo.Config) (ppo.Report, error) {
		if s.PPO != nil {
			s.PPO(policy, critic, prompts, heldOut, r, cfg)
		}
		return real.ppo(ctx, policy, critic, prompts, heldOut, r, cfg)
	}
	if s.Judges != nil {
		st.judges = s.Judges
	}
	return runStages(ctx, dir, d, cfg, st)
}

// Rule scores an answer to a prompt, both as ids, in the place of a reward model.
type Rule func(prompt, answer []int32) float64

func (rule Rule) scorer() data.RewardFunc {
	return data.EachAnswer(func(a data.Answer) float64 { return rule(a.Prompt.Tokens, a.Tokens) })
}

// RuleJudges judge by rules.
func RuleJudges(helpfulness, safety Rule, threshold float64) *Judges {
	return &Judges{scorers: [2]data.RewardFunc{helpfulness.scorer(), safety.scorer()}, threshold: threshold}
}
