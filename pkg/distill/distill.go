package distill

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/generate"
	"github.com/tame-rlhf/tame/pkg/model"
)

// Scored is one sampled answer with its score: an answer to the bare prompt, whether it was sampled
// with a pre-prompt or not. Its Prompt is tagged as a safety prompt, because safety is what the
// method wants to raise.
type Scored struct {
	data.Answer
	Score float64 // of the safety reward model
}

// Candidate is an answer with the pre-prompt next to the original one without it.
type Candidate struct {
	Prompt    data.Prompt // the bare prompt
	PrePrompt PrePrompt
	Sample    int    // which of the prompt's samples
	Original  Scored // sampled without the pre-prompt
	Distilled Scored // sampled with it
	Kept      bool
}

// Result is what came of all prompts.
type Result struct {
	Examples   []data.Example // bare prompt and distilled answer of the kept candidates, in order
	Candidates []Candidate
	LeftAlone  int       // prompts without a pre-prompt
	All        Summary   // of all candidates
	ByCategory []Summary // of each category, in alphabetical order
}

// Distill samples answers to every prompt with a pre-prompt and without it, scores both as answers
// to the bare prompt, and keeps those that the pre-prompt made safer. score gives each answer a
// number, the higher the safer: a safety reward model. A dialogue's own system message stays, after
// the pre-prompt.
func Distill(ctx context.Context, p *model.Params, tmpl *data.Template, prompts []data.Prompt, prePrompts PrePrompts, score data.RewardFunc, cfg Config) (Result, error) {
	if err := cfg.Validate(); err != nil {
		return Result{}, err
	}
	if tmpl == nil || prePrompts == nil || score == nil {
		return Result{}, errors.New("distill: the template, the pre-prompts and the score are all needed")
	}
	if len(prompts) == 0 {
		return Result{}, fmt.Errorf("distill: prompts: %w", data.ErrEmpty)
	}
	if err := data.CheckIDs(len(prompts), func(i int) (string, []data.Message) { return prompts[i].ID, prompts[i].Messages }); err != nil {
		return Result{}, fmt.Errorf("distill: %w", err)
	}

	// 1. A pre-prompt for each prompt.
	pre, chosen, err := choose(prompts, prePrompts, cfg.Seed)
	if err != nil {
		return Result{}, err
	}
	result := Result{LeftAlone: len(prompts) - len(chosen)}

	// 2. Answers without it and with it.
	if result.Candidates, err = sample(ctx, p, tmpl, chosen, pre, cfg); err != nil {
		return Result{}, err
	}

	// 3. Scores of both, as answers to the bare prompt.
	if err := rate(ctx, result.Candidates, score); err != nil {
		return Result{}, err
	}

	// 4. Keep what the pre-prompt made safer.
	for i := range result.Candidates {
		c := &result.Candidates[i]
		c.Kept = c.Distilled.Finished && !c.Distilled.Empty() && (!cfg.Filter || c.Distilled.Score > c.Original.Score)
		if c.Kept {
			result.Examples = append(result.Examples, c.Distilled.Example())
		}
	}
	result.All, result.ByCategory = summarise(result.Candidates)
	return result, nil
}

// Originals are the original answers of the candidates that were not kept, as far as they were finished and not empty: with Examples every prompt has the
// better of its two answers, so that the model also sees alarming prompts that it answered well before.
func (r Result) Originals() []data.Example {
	var examples []data.Example
	for _, c := range r.Candidates {
		if !c.Kept && c.Original.Finished && !c.Original.Empty() {
			examples = append(examples, c.Original.Example())
		}
	}
	return examples
}

// sample gives cfg.Samples candidates for each prompt. Both answers of a candidate are drawn from the same stream of random numbers, so a
// pre-prompt that changes nothing gives the same answer, a tie, and not a second draw that may be luckier.
func sample(ctx context.Context, p *model.Params, tmpl *data.Template, prompts []data.Prompt, pre []PrePrompt, cfg Config) ([]Candidate, error) {
	requests := make([]generate.Request, 0, 2*len(prompts))
	for i, prompt := range prompts {
		for _, messages := range [][]data.Message{prompt.Messages, pre[i].with(prompt.Messages)} {
			ids, err := tmpl.EncodePrompt(messages)
			if err != nil {
				return nil, fmt.Errorf("distill: prompt %q: %w", prompt.ID, err)
			}
			requests = append(requests, generate.Request{Prompt: ids, ID: data.StreamKey(prompt.ID), Samples: cfg.Samples})
		}
	}
	sampled, err := generate.Generate(ctx, p, requests, cfg.Sampling)
	if err != nil {
		return nil, fmt.Errorf("distill: %w", err)
	}
	candidates := make([]Candidate, 0, len(prompts)*cfg.Samples)
	for i, prompt := range prompts {
		bare := data.TokenPrompt{ID: prompt.ID, Tokens: requests[2*i].Prompt, Safety: true}
		answer := func(s generate.Sample) Scored { return Scored{Answer: s.Answer(bare)} }
		for k, original := range sampled[2*i] {
			candidates = append(candidates, Candidate{
				Prompt: prompt, PrePrompt: pre[i], Sample: k, Original: answer(original), Distilled: answer(sampled[2*i+1][k]),
			})
		}
	}
	return candidates, nil
}

// rate scores the original answers, then the distilled ones, in one call.
func rate(ctx context.Context, candidates []Candidate, score data.RewardFunc) error {
	if len(candidates) == 0 {
		return nil
	}
	n := len(candidates)
	answers := make([]data.Answer, 2*n)
	for i, c := range candidates {
		answers[i], answers[n+i] = c.Original.Answer, c.Distilled.Answer
	}
	scores, err := score(ctx, answers)
	if err != nil {
		return fmt.Errorf("distill: score: %w", err)
	}
	if len(scores) != len(answers) {
		return fmt.Errorf("distill: score gave %d numbers for %d answers", len(scores), len(answers))
	}
	for i, s := range scores {
		if math.IsNaN(s) || math.IsInf(s, 0) {
			return fmt.Errorf("distill: the score of an answer to prompt %q is %v", answers[i].Prompt.ID, s)
		}
	}
	for i := range candidates {
		candidates[i].Original.Score, candidates[i].Distilled.Score = scores[i], scores[n+i]
	}
	return nil
}
