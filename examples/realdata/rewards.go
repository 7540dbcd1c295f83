package main

import (
	"context"

	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/ppo"
	"github.com/tame-rlhf/tame/pkg/rejection"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
)

// judges are the two reward models. They are the Rewarder of PPO and the reward of rejection sampling.
type judges struct {
	helpfulness, safety *rewardmodel.Scorer
	threshold           float64 // of the gate
}

func newJudges(helpfulness, safety *model.Params, threshold float64) (*judges, error) {
	h, err := rewardmodel.NewScorer(helpfulness, microTokens, microSegments)
	if err != nil {
		return nil, err
	}
	s, err := rewardmodel.NewScorer(safety, microTokens, microSegments)
	return &judges{helpfulness: h, safety: s, threshold: threshold}, err
}

// Score implements ppo.Rewarder.
func (j *judges) Score(ctx context.Context, answers []ppo.Answer) ([]ppo.Score, error) {
	sequences := make([][]int32, len(answers))
	for i, a := range answers {
		sequences[i] = a.Sequence()
	}
	helpfulness, err := j.helpfulness.Score(ctx, sequences)
	if err != nil {
		return nil, err
	}
	safety, err := j.safety.Score(ctx, sequences)
	if err != nil {
		return nil, err
	}
	scores := make([]ppo.Score, len(answers))
	for i := range scores {
		scores[i] = ppo.Score{Helpfulness: helpfulness[i], Safety: safety[i]}
	}
	return scores, nil
}

// combined is R_c as a logit, for each answer, and whether the safety score was taken.
func (j *judges) combined(ctx context.Context, answers []ppo.Answer) (rewards []float64, bySafety []bool, err error) {
	scores, err := j.Score(ctx, answers)
	if err != nil {
		return nil, nil, err
	}
	rewards, bySafety = make([]float64, len(answers)), make([]bool, len(answers))
	for i, s := range scores {
		rewards[i], bySafety[i] = ppo.Combine(s, answers[i].Prompt.Safety, j.threshold)
	}
	return rewards, bySafety, nil
}

// reward is R_c for rejection sampling.
func (j *judges) reward(ctx context.Context, answers []rejection.Answer) ([]float64, error) {
	asked := make([]ppo.Answer, len(answers))
	for i, a := range answers {
		asked[i] = ppo.Answer{Prompt: ppo.Prompt{Tokens: a.Tokens, Safety: a.Safety}, Tokens: a.Answer}
	}
	rewards, _, err := j.combined(ctx, asked)
	return rewards, err
}
