package generate

import (
	"context"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
)

// Answer is the sample as an answer to its prompt.
func (s Sample) Answer(prompt data.TokenPrompt) data.Answer {
	return data.Answer{Prompt: prompt, Tokens: s.Tokens, LogProbs: s.LogProbs, Finished: s.Finished}
}

// Answers is Generate for prompts, that many samples of each: those of a prompt follow each other.
// key gives the ID of the request for prompts[i]; nil means data.StreamKey of the prompt's ID.
func Answers(ctx context.Context, p *model.Params, prompts []data.TokenPrompt, samples int, cfg Sampling, key func(i int) uint64) ([]data.Answer, error) {
	if key == nil {
		key = func(i int) uint64 { return data.StreamKey(prompts[i].ID) }
	}
	requests := make([]Request, len(prompts))
	for i, prompt := range prompts {
		requests[i] = Request{Prompt: prompt.Tokens, ID: key(i), Samples: samples}
	}
	sampled, err := Generate(ctx, p, requests, cfg)
	if err != nil {
		return nil, err
	}
	answers := make([]data.Answer, 0, samples*len(prompts))
	for i, list := range sampled {
		for _, s := range list {
			answers = append(answers, s.Answer(prompts[i]))
		}
	}
	return answers, nil
}
