package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/tame-rlhf/tame/examples/internal/lab"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pipeline"
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

// policies are the chat model and all versions of the run; a version with PPO counts twice, before and after.
func (b *bench) policies() []version {
	list := []version{{"SFT", startName}}
	for _, r := range b.rounds {
		name := fmt.Sprintf("V%d", r.Number)
		list = append(list, version{name, fmt.Sprintf("%s/v%d/tuned", runName, r.Number)})
		if r.Model != r.Tuned {
			list = append(list, version{name + withPPO, fmt.Sprintf("%s/v%d/ppo", runName, r.Number)})
		}
	}
	return list
}

// sample gives n answers of a model in the cache to each prompt.
func (b *bench) sample(ctx context.Context, name, path string, prompts []data.Prompt, n int, temperature float64, seed uint64) ([]lab.Answer, error) {
	p, err := model.Load(b.path(path))
	if err != nil {
		return nil, err
	}
	return b.Sample(ctx, name, p, prompts, n, temperature, seed)
}

// answers are so many answers to each test prompt, those of a prompt one after the other, with the scores of the run's newest reward models.
func (b *bench) answers(ctx context.Context, v version, each int, temperature float64) ([]data.Sample, error) {
	s := step{"answers to test prompts", map[string]any{"max": b.MaxAnswer, "each": each, "temperature": temperature}, 7,
		[]string{v.path, b.last + "/helpfulness", b.last + "/safety"}}
	return rows(&b.cache, fmt.Sprintf("answers/%s-%d-at-%.1f.arrow", v.path, each, temperature), s, func() ([]data.Sample, error) {
		sampled, err := b.sample(ctx, fmt.Sprintf("answers of %s at %.1f", v.name, temperature), v.path, b.World.TestPrompts(), each, temperature, 7)
		if err != nil {
			return nil, err
		}
		list := lab.Rows(sampled, temperature)
		_, err = lab.Score(ctx, b.judges, list, sampled)
		return list, err
	})
}

// scoreAnswers scores answers with a reward model.
func scoreAnswers(ctx context.Context, p *model.Params, list []data.Answer) ([]float64, error) {
	j, err := pipeline.NewJudges(p, nil, pipeline.JudgesConfig{MicroTokens: lab.MicroTokens, MicroSegments: lab.MicroSegments})
	if err != nil {
		return nil, err
	}
	return j.Reward(ctx, list)
}

// asAnswers are samples as reward models take them.
func asAnswers(samples []data.Sample) []data.Answer {
	return numbers(samples, func(s data.Sample) data.Answer {
		return data.Answer{Prompt: data.TokenPrompt{Tokens: s.Prompt}, Tokens: s.Tokens}
	})
}

// of are the answers to prompts of a kind.
func (b *bench) of(list []data.Sample, which oracle.Kind) []data.Sample {
	return slices.DeleteFunc(slices.Clone(list), func(a data.Sample) bool { return b.kinds[a.PromptID] != which })
}

// column takes a number of each answer to prompts of a kind, with the questions.
func (b *bench) column(list []data.Sample, which oracle.Kind, number func(data.Sample) float64) (values []float64, questions []string) {
	some := b.of(list, which)
	return numbers(some, number), numbers(some, b.question)
}

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
