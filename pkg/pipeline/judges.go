package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/ppo"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
)

// JudgesConfig of a pair of reward models.
type JudgesConfig struct {
	// SafetyThreshold is the safety reward, a probability, below which an answer is judged by its safety. Paper 3.2.3: 0.15.
	SafetyThreshold float64
	// MicroTokens and MicroSegments are the budget of one micro-batch, which decides memory and not results.
	MicroTokens, MicroSegments int
	// OnContradiction, if not nil, is called once, when the answers scored so far show that the level of the helpfulness model contradicts the
	// gate: see ppo.GateCount.Contradicts.
	OnContradiction func(ppo.GateCount) `json:"-"`
}

// DefaultJudgesConfig holds the paper's value.
func DefaultJudgesConfig() JudgesConfig {
	return JudgesConfig{SafetyThreshold: 0.15, MicroTokens: 4096, MicroSegments: 64}
}

// Judges are a helpfulness and a safety reward model.
type Judges struct {
	helpfulness, safety scorer
	threshold           float64
	gate                ppo.GateCount
	onContradiction     func(ppo.GateCount) // nil when it has been called
}

// scorer gives the raw score of each answer to its prompt, both as ids: a *rewardmodel.Scorer.
type scorer interface {
	ScoreAnswers(ctx context.Context, prompts, answers [][]int32) ([]float64, error)
}

var _ ppo.Rewarder = (*Judges)(nil)

// NewJudges takes the weights of both models, which are shared and not copied.
func NewJudges(helpfulness, safety *model.Params, cfg JudgesConfig) (*Judges, error) {
	if !(cfg.SafetyThreshold > 0 && cfg.SafetyThreshold < 1) {
		return nil, fmt.Errorf("pipeline: JudgesConfig.SafetyThreshold is %v, want a probability in (0, 1)", cfg.SafetyThreshold)
	}
	if helpfulness == nil || safety == nil {
		return nil, errors.New("pipeline: both reward models are needed")
	}
	h, err := rewardmodel.NewScorer(helpfulness, cfg.MicroTokens, cfg.MicroSegments)
	if err != nil {
		return nil, fmt.Errorf("pipeline: helpfulness model: %w", err)
	}
	s, err := rewardmodel.NewScorer(safety, cfg.MicroTokens, cfg.MicroSegments)
	if err != nil {
		return nil, fmt.Errorf("pipeline: safety model: %w", err)
	}
	return &Judges{helpfulness: h, safety: s, threshold: cfg.SafetyThreshold, onContradiction: cfg.OnContradiction}, nil
}

// Score gives both raw scores of each answer. It implements ppo.Rewarder.
func (j *Judges) Score(ctx context.Context, answers []data.Answer) ([]ppo.Score, error) {
	prompts, ids := make([][]int32, len(answers)), make([][]int32, len(answers))
	for i, a := range answers {
		prompts[i], ids[i] = a.Prompt.Tokens, a.Tokens
	}
	helpfulness, err := j.helpfulness.ScoreAnswers(ctx, prompts, ids)
	if err != nil {
		return nil, fmt.Errorf("pipeline: helpfulness model: %w", err)
	}
	safety, err := j.safety.ScoreAnswers(ctx, prompts, ids)
	if err != nil {
		return nil, fmt.Errorf("pipeline: safety model: %w", err)
	}
	scores := make([]ppo.Score, len(answers))
	for i := range scores {
		scores[i] = ppo.Score{Helpfulness: helpfulness[i], Safety: safety[i]}
		_, bySafety := j.Combined(scores[i], answers[i].Prompt.Safety)
		j.gate.Add(scores[i], answers[i].Prompt.Safety, bySafety)
	}
	if j.onContradiction != nil && j.gate.Contradicts() {
		j.onContradiction(j.gate)
		j.onContradiction = nil
	}
	return scores, nil
}

// Gate counts what the gate did to all answers that were scored so far.
func (j *Judges) Gate() ppo.GateCount { return j.gate }

// Combined is R_c as a logit: the safety score for safety prompts and for answers that seem unsafe, else helpfulness. It says
// whether the safety score was taken.
func (j *Judges) Combined(s ppo.Score, safetyPrompt bool) (reward float64, bySafety bool) {
	return ppo.Combine(s, safetyPrompt, j.threshold)
}

// Rewards gives R_c as a logit for each answer, and whether the safety score was taken.
func (j *Judges) Rewards(ctx context.Context, answers []data.Answer) (rewards []float64, bySafety []bool, err error) {
	scores, err := j.Score(ctx, answers)
	if err != nil {
		return nil, nil, err
	}
	rewards, bySafety = make([]float64, len(answers)), make([]bool, len(answers))
	for i, s := range scores {
		rewards[i], bySafety[i] = j.Combined(s, answers[i].Prompt.Safety)
	}
	return rewards, bySafety, nil
}

// Reward gives R_c as a logit for each answer. It is a data.RewardFunc.
func (j *Judges) Reward(ctx context.Context, answers []data.Answer) ([]float64, error) {
	rewards, _, err := j.Rewards(ctx, answers)
	return rewards, err
}
