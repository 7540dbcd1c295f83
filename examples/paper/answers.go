package main

import (
	"context"
	"fmt"

	"github.com/tame-rlhf/tame/examples/internal/lab"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
	"github.com/tame-rlhf/tame/pkg/world/oracle"
)

// Kinds of prompts.
const (
	normal     = oracle.Normal
	borderline = oracle.Borderline
	hazard     = oracle.Hazard
)

// version is a model of the run with its name.
type version struct {
	name string
	path string // in the cache
}

// withPPO ends the name of a version after PPO.
const withPPO = " with PPO"

// Policies are the chat model and all versions of the run; a version with PPO counts twice, before and after.
func (b *bench) Policies(ctx context.Context) ([]version, error) {
	rounds, err := b.Versions(ctx)
	if err != nil {
		return nil, err
	}
	list := []version{{"SFT", startName}}
	for _, r := range rounds {
		name := fmt.Sprintf("V%d", r.Number)
		list = append(list, version{name, fmt.Sprintf("%s/v%d/tuned", runName, r.Number)})
		if r.Model != r.Tuned {
			list = append(list, version{name + withPPO, fmt.Sprintf("%s/v%d/ppo", runName, r.Number)})
		}
	}
	return list, nil
}

// Answers are one answer to each test prompt, sampled at temperature 1, with the scores of the run's newest reward models.
func (b *bench) Answers(ctx context.Context, v version) ([]data.Sample, error) {
	p, err := model.Load(b.path(v.path))
	if err != nil {
		return nil, err
	}
	return b.answersOf(ctx, v, p, 1, 1)
}

// answersOf are so many answers to each test prompt, those of a prompt one after the other.
func (b *bench) answersOf(ctx context.Context, v version, p *model.Params, each int, temperature float64) ([]data.Sample, error) {
	rounds, err := b.Versions(ctx)
	if err != nil {
		return nil, err
	}
	last := fmt.Sprintf("%s/v%d", runName, len(rounds))
	s := step{"answers to test prompts", map[string]any{"max": b.MaxAnswer, "each": each, "temperature": temperature}, 7,
		[]string{v.path, last + "/helpfulness", last + "/safety"}}
	return rows(&b.cache, fmt.Sprintf("answers/%s-%d-at-%.1f.arrow", v.path, each, temperature), s, func() ([]data.Sample, error) {
		sampled, err := b.Sample(ctx, fmt.Sprintf("answers of %s at %.1f", v.name, temperature), p, b.World.TestPrompts(), each, temperature, 7)
		if err != nil {
			return nil, err
		}
		j, err := b.judges(ctx)
		if err != nil {
			return nil, err
		}
		list := lab.Rows(sampled, temperature)
		_, err = lab.Score(ctx, j, list, sampled)
		return list, err
	})
}

// judges are the run's newest reward models behind the combined reward.
func (b *bench) judges(ctx context.Context) (*pipeline.Judges, error) {
	helpfulness, safety, err := b.Judges(ctx)
	if err != nil {
		return nil, err
	}
	return pipeline.NewJudges(helpfulness, safety, pipeline.JudgesConfig{
		SafetyThreshold: b.Iteration.PPO.SafetyThreshold, MicroTokens: lab.MicroTokens, MicroSegments: lab.MicroSegments,
	})
}

// scoreAnswers scores answers with a reward model.
func scoreAnswers(ctx context.Context, p *model.Params, list []data.Sample) ([]float64, error) {
	scorer, err := rewardmodel.NewScorer(p, lab.MicroTokens, lab.MicroSegments)
	if err != nil {
		return nil, err
	}
	return scorer.ScoreAnswers(ctx, asAnswers(list))
}

// kinds says what each test prompt asks.
func (b *bench) kinds() ([]oracle.Kind, error) {
	prompts := b.World.TestPrompts()
	kinds := make([]oracle.Kind, len(prompts))
	for i, p := range prompts {
		var err error
		if kinds[i], err = b.Oracle.Kind(p); err != nil {
			return nil, err
		}
	}
	return kinds, nil
}

// column takes a number (or something else) of each answer to prompts of one kind.
func column[T any](list []data.Sample, kinds []oracle.Kind, which oracle.Kind, number func(data.Sample) T) []T {
	var out []T
	for i, a := range list {
		if kinds[i] == which {
			out = append(out, number(a))
		}
	}
	return out
}

func itself(a data.Sample) data.Sample    { return a }
func safetyOf(a data.Sample) float64      { return *a.Safety }
func helpfulnessOf(a data.Sample) float64 { return *a.Helpfulness }
func combinedOf(a data.Sample) float64    { return *a.Combined }

// numbers takes a number (or something else) of each item.
func numbers[S, T any](list []S, number func(S) T) []T {
	out := make([]T, len(list))
	for i, a := range list {
		out[i] = number(a)
	}
	return out
}

// question is what the prompt of an answer asks: the unit of all intervals, since several prompts
// ask the same in other words.
func (b *bench) question(a data.Sample) string { return b.asked[a.PromptID] }
