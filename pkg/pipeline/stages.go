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

// stages are the functions that a run calls for training and judging. Tests replace them, to see
// what each is given and to judge by rules.
type stages struct {
	rewardModel func(context.Context, *model.Params, []data.Pair, []data.Pair, rewardmodel.Config) (train.Report, error)
	judges      func(version int, helpfulness, safety *model.Params, cfg JudgesConfig) (*Judges, error)
	fineTune    func(context.Context, *model.Params, []data.Example, []data.Example, sft.Config) (train.Report, error)
	ppo         func(ctx context.Context, policy, critic *model.Params, prompts, heldOut []data.TokenPrompt, r ppo.Rewarder, cfg ppo.Config) (ppo.Report, error)
}

// trained are the stages of a real run.
func trained() stages {
	return stages{
		rewardModel: rewardmodel.Train,
		judges: func(_ int, helpfulness, safety *model.Params, cfg JudgesConfig) (*Judges, error) {
			return NewJudges(helpfulness, safety, cfg)
		},
		fineTune: sft.Train,
		ppo:      ppo.Train,
	}
}
