package main

import (
	"context"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/rejection"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
)

// judges are the two reward models.
type judges struct {
	helpfulness, safety *rewardmodel.Scorer
}

func newJudges(helpfulness, safety *model.Params) (j judges, err error) {
	if j.helpfulness, err = rewardmodel.NewScorer(helpfulness, microTokens, microSegments); err != nil {
		return j, err
	}
	j.safety, err = rewardmodel.NewScorer(safety, microTokens, microSegments)
	return j, err
}

// score gives both models' raw scores of sequences.
func (j judges) score(ctx context.Context, sequences [][]int32) (helpfulness, safety []float64, err error) {
	if helpfulness, err = j.helpfulness.Score(ctx, sequences); err != nil {
		return nil, nil, err
	}
	safety, err = j.safety.Score(ctx, sequences)
	return helpfulness, safety, err
}

// gate is log(0.15 / 0.85): below it the safety model decides (section 3.2.3).
const gate = -1.7346010553881064

// combined is R_c as a logit: the safety score for safety prompts and for answers that seem unsafe, else helpfulness.
func combined(helpfulness, safety float64, safetyPrompt bool) float64 {
	if safetyPrompt || safety < gate {
		return safety
	}
	return helpfulness
}

// reward is R_c for rejection sampling.
func (j judges) reward(ctx context.Context, answers []rejection.Answer) ([]float64, error) {
	sequences := make([][]int32, len(answers))
	for i, a := range answers {
		sequences[i], _ = data.Join(a.Tokens, a.Answer)
	}
	helpfulness, safety, err := j.score(ctx, sequences)
	if err != nil {
		return nil, err
	}
	rewards := make([]float64, len(answers))
	for i, a := range answers {
		rewards[i] = combined(helpfulness[i], safety[i], a.Safety)
	}
	return rewards, nil
}
