package distill

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/generate"
	"github.com/tame-rlhf/tame/pkg/model"
)

// Answer is one sampled answer, as a score sees it: an answer to the bare prompt, whether it was sampled with a pre-prompt or not.
type Answer struct {
	Prompt   data.Prompt
	Tokens   []int32 // of the bare prompt
	Answer   []int32 // the answer's ids, with EOS if Finished
	LogProbs []float32
	Finished bool
	Score    float64 // of the safety reward model
}

// Score gives one number per answer, the higher the safer: a safety reward model on Tokens and Answer. Answer.Score is not set yet.
type Score func(ctx context.Context, answers []Answer) ([]float64, error)

// Candidate is an answer with the pre-prompt beside the original one without it, both to the same bare prompt.
type Candidate struct {
	PrePrompt PrePrompt
	Sample    int    // which of the prompt's samples
	Original  Answer // sampled without the pre-prompt
	Distilled Answer // sampled with it
	Kept      bool
}

// Example is the bare prompt and the distilled answer, whose tokens count for the loss. data.Example(e) makes a training example of it.
type Example struct {
	Tokens  []int32
	Weights []float32
}

// Result is what came of all prompts.
type Result struct {
	Examples   []Example // of the candidates that were kept, in their order
	Candidates []Candidate
	LeftAlone  int       // prompts without a pre-prompt
	All        Summary   // of all candidates
	ByCategory []Summary // of each category, in alphabetical order
}

// Distill samples answers to every prompt with a pre-prompt and without it, scores both as answers to the bare prompt, and keeps those that the
// pre-prompt made safer. A dialogue's own system message stays, behind the pre-prompt.
func Distill(ctx context.Context, p *model.Params, tmpl *data.Template, prompts []data.Prompt, prePrompts PrePrompts, score Score, cfg Config) (Result, error) {
	if err := cfg.Validate(); err != nil {
		return Result{}, err
	}
	if tmpl == nil || prePrompts == nil || score == nil {
		return Result{}, errors.New("distill: the template, the pre-prompts and the score are all needed")
	}
	if len(prompts) == 0 {
		return Result{}, fmt.Errorf("distill: prompts: %w", data.ErrEmpty)
	}
	if err := checkIDs(prompts); err != nil {
		return Result{}, err
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
		c.Kept = c.Distilled.Finished && (!cfg.Filter || c.Distilled.Score > c.Original.Score)
		if c.Kept {
			result.Examples = append(result.Examples, c.Distilled.example())
		}
	}
	result.All, result.ByCategory = summarise(result.Candidates)
	return result, nil
}

// Originals are the original answers of the candidates that were not kept, as far as they were finished: with Examples every prompt has the
// better of its two answers, so that the model also sees alarming prompts that it answered well before.
func (r Result) Originals() []Example {
	var examples []Example
	for _, c := range r.Candidates {
		if !c.Kept && c.Original.Finished {
			examples = append(examples, c.Original.example())
		}
	}
	return examples
}

// example counts the tokens of the answer.
func (a Answer) example() Example {
	return Example(data.Join(a.Tokens, a.Answer))
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
	sampled, err := generate.Generate(ctx, p, requests, generate.Config{
		MaxNewTokens: cfg.MaxNewTokens, Temperature: cfg.Temperature, TopP: cfg.TopP,
		Stop: cfg.Stop, Seed: cfg.Seed, Slots: cfg.Slots,
	}, cfg.OnProgress)
	if err != nil {
		return nil, fmt.Errorf("distill: %w", err)
	}
	candidates := make([]Candidate, 0, len(prompts)*cfg.Samples)
	for i, prompt := range prompts {
		bare := requests[2*i].Prompt
		answer := func(s generate.Sample) Answer {
			return Answer{Prompt: prompt, Tokens: bare, Answer: s.Tokens, LogProbs: s.LogProbs, Finished: s.Finished}
		}
		for k, original := range sampled[2*i] {
			candidates = append(candidates, Candidate{
				PrePrompt: pre[i], Sample: k, Original: answer(original), Distilled: answer(sampled[2*i+1][k]),
			})
		}
	}
	return candidates, nil
}

// rate scores the original answers, then the distilled ones, in one call.
func rate(ctx context.Context, candidates []Candidate, score Score) error {
	if len(candidates) == 0 {
		return nil
	}
	n := len(candidates)
	answers := make([]Answer, 2*n)
	for i, c := range candidates {
		answers[i], answers[n+i] = c.Original, c.Distilled
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

// checkIDs refuses prompts that share an ID: their answers would be drawn from the same random numbers.
func checkIDs(prompts []data.Prompt) error {
	first := map[string]int{}
	for i, p := range prompts {
		k, known := first[p.ID]
		if known && !slices.Equal(prompts[k].Messages, p.Messages) {
			return fmt.Errorf("distill: prompts %d and %d differ and have the same ID %q: give each its own, such as data.DialogID", k, i, p.ID)
		}
		if !known {
			first[p.ID] = i
		}
	}
	return nil
}
