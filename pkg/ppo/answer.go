package ppo

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// Prompt is what an answer is asked for.
type Prompt struct {
	// ID is the caller's name for the prompt. PPO does not read it; answers carry it.
	ID string
	// Tokens is the prompt as the policy reads it, begin of sequence included.
	Tokens []int32
	// Safety tags a safety prompt, whose answers are judged by the safety score (section 3.2.3).
	Safety bool
}

// Answer is what the policy said.
type Answer struct {
	// Prompt is what it was asked.
	Prompt Prompt
	// Tokens is the answer, with its stop token if there is one.
	Tokens []int32
	// LogProbs is log π of each token as the sampler computed it, at Config.Temperature.
	LogProbs []float32
	// Finished says that a stop token ended the answer.
	Finished bool
}

// Sequence is prompt and answer in one slice, as reward models read it: their score is taken at the last token.
func (a Answer) Sequence() []int32 { return slices.Concat(a.Prompt.Tokens, a.Tokens) }

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
	Score(ctx context.Context, answers []Answer) ([]Score, error)
}

// RewarderFunc makes a Rewarder of a function.
type RewarderFunc func(ctx context.Context, answers []Answer) ([]Score, error)

// Score calls the function.
func (f RewarderFunc) Score(ctx context.Context, answers []Answer) ([]Score, error) {
	return f(ctx, answers)
}

// RewardFunc makes a Rewarder of a function that gives an answer's raw helpfulness score: a rule, or a test's fixed reward.
func RewardFunc(f func(Answer) float64) Rewarder {
	return RewarderFunc(func(_ context.Context, answers []Answer) ([]Score, error) {
		scores := make([]Score, len(answers))
		for i, a := range answers {
			scores[i].Helpfulness = f(a)
		}
		return scores, nil
	})
}

// judge calls the rewarder and looks at what it gives: scores, and which of the two decided.
func judge(ctx context.Context, r Rewarder, answers []Answer, cfg Config) (scores []Score, raw []float64, bySafety []bool, err error) {
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
		for name, x := range s.TokenExtra {
			if len(x) != len(answers[i].Tokens) {
				return nil, nil, nil, fmt.Errorf("ppo: the rewarder's %q for answer %d has %d numbers, the answer %d tokens", name, i, len(x), len(answers[i].Tokens))
			}
		}
	}
	return scores, raw, bySafety, nil
}
