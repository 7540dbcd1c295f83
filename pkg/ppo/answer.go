package ppo

import (
	"context"
	"fmt"
	"math"

	"github.com/tame-rlhf/tame/pkg/data"
)

// Score is the judgement of an answer.
type Score struct {
	// Helpfulness and Safety are raw scores of the two reward models, before any sigmoid. Without Config.Gate only
	// Helpfulness is read.
	Helpfulness, Safety float64
	// Extra holds the answer's numbers for the columns in Config.ExtraSegment.
	Extra map[string]float64
	// TokenExtra holds numbers for each token of the answer, for the columns in Config.ExtraToken.
	TokenExtra map[string][]float64
}

// Rewarder judges answers, such as a pair of reward models. It is called from one goroutine.
type Rewarder interface {
	// Score gives one score for each answer, in their order.
	Score(ctx context.Context, answers []data.Answer) ([]Score, error)
}

// FromReward is the Rewarder whose helpfulness scores are the numbers of a function, such as a rule.
// There is no safety score: set Config.Gate to false.
func FromReward(f data.RewardFunc) Rewarder { return rewardFunc(f) }

type rewardFunc data.RewardFunc

// Score implements Rewarder.
func (f rewardFunc) Score(ctx context.Context, answers []data.Answer) ([]Score, error) {
	rewards, err := f(ctx, answers)
	scores := make([]Score, len(rewards))
	for i, r := range rewards {
		scores[i].Helpfulness = r
	}
	return scores, err
}

// judge calls the rewarder and looks at what it gives: scores, and which of the two decided.
func judge(ctx context.Context, r Rewarder, answers []data.Answer, cfg Config) (scores []Score, raw []float64, bySafety []bool, err error) {
	scores, err = r.Score(ctx, answers)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("ppo: scoring %d answers: %w", len(answers), err)
	}
	if len(scores) != len(answers) {
		return nil, nil, nil, fmt.Errorf("ppo: the rewarder gave %d scores for %d answers", len(scores), len(answers))
	}
	raw, bySafety = make([]float64, len(scores)), make([]bool, len(scores))
	for i, s := range scores {
		if raw[i] = s.Helpfulness; cfg.Gate {
			raw[i], bySafety[i] = Combine(s, answers[i].Prompt.Safety, cfg.SafetyThreshold)
		}
		if math.IsNaN(raw[i]) || math.IsInf(raw[i], 0) || cfg.Gate && math.IsNaN(s.Safety) {
			return nil, nil, nil, fmt.Errorf("ppo: the rewarder gave answer %d helpfulness %v and safety %v, want finite raw scores", i, s.Helpfulness, s.Safety)
		}
		if err := missingExtra(s, cfg); err != nil {
			return nil, nil, nil, fmt.Errorf("ppo: the rewarder's score of answer %d has %w", i, err)
		}
		for name, x := range s.TokenExtra {
			if len(x) != len(answers[i].Tokens) {
				return nil, nil, nil, fmt.Errorf("ppo: the rewarder's %q for answer %d has %d numbers, the answer %d tokens", name, i, len(x), len(answers[i].Tokens))
			}
		}
	}
	return scores, raw, bySafety, nil
}

// missingExtra names a column of Config.ExtraSegment or ExtraToken that the rewarder has left out: the loss would read zeros.
func missingExtra(s Score, cfg Config) error {
	for _, name := range cfg.ExtraSegment {
		if _, ok := s.Extra[name]; !ok {
			return fmt.Errorf("no Extra[%q], which Config.ExtraSegment names", name)
		}
	}
	for _, name := range cfg.ExtraToken {
		if _, ok := s.TokenExtra[name]; !ok {
			return fmt.Errorf("no TokenExtra[%q], which Config.ExtraToken names", name)
		}
	}
	return nil
}
