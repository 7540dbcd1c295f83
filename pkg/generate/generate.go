package generate

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/model"
)

// Generate answers the requests: result [i][k] is sample k of request i. It reads p, float32 weights
// with an output projection, and depends on nothing but the arguments; Sampling.Slots does not
// matter either.
//
// When ctx ends, Generate stops before the next token and returns the context's error, wrapped. A
// prompt that leaves no room for an answer gives a *PromptTooLongError before anything is computed.
// NewPlan tells the memory it takes.
func Generate(ctx context.Context, p *model.Params, reqs []Request, cfg Sampling) ([][]Sample, error) {
	if err := checkParams(p); err != nil {
		return nil, err
	}
	plan, err := NewPlan(p.Config(), reqs, cfg)
	if err != nil {
		return nil, err
	}
	if plan.Samples == 0 {
		return make([][]Sample, len(reqs)), nil
	}
	b, err := newPlannedBatch(p, plan, reqs, cfg)
	if err != nil {
		return nil, err
	}
	if err := b.run(ctx); err != nil {
		return nil, err
	}
	return b.out, nil
}

// newPlannedBatch makes room for what is planned.
func newPlannedBatch(p *model.Params, plan Plan, reqs []Request, cfg Sampling) (*batch, error) {
	dec, err := model.NewDecoder(p, plan.Slots+spareSlots, plan.Context)
	if err != nil {
		return nil, fmt.Errorf("generate: %w", err)
	}
	cfg.Slots = plan.Slots
	return newBatch(dec, reqs, cfg, p.Config().MaxSeqLen), nil
}

func checkParams(p *model.Params) error {
	if p == nil || p.DType() != tensor.Float32 {
		return errors.New("generate: want float32 weights: convert them with Params.As")
	}
	return nil
}

// checkRequests counts the samples and the tokens of the longest prompt.
func checkRequests(reqs []Request, shape model.Config) (samples, longest int, err error) {
	limit := shape.MaxSeqLen - 1
	for i, r := range reqs {
		if err := checkPrompt(r.Prompt, shape.VocabSize); err != nil {
			return 0, 0, fmt.Errorf("generate: request %d (ID %d): %w", i, r.ID, err)
		}
		switch {
		case len(r.Prompt) > limit:
			return 0, 0, &PromptTooLongError{Index: i, ID: r.ID, Length: len(r.Prompt), Limit: limit}
		case r.Samples < 1:
			return 0, 0, fmt.Errorf("generate: request %d (ID %d): Samples is %d, want at least 1", i, r.ID, r.Samples)
		}
		if samples += min(r.Samples, MostTokens+1); samples > MostTokens { // each has a token
			return samples, longest, nil
		}
		longest = max(longest, len(r.Prompt))
	}
	return samples, longest, nil
}

func checkPrompt(prompt []int32, vocab int) error {
	if len(prompt) == 0 {
		return errors.New("the prompt is empty, want at least the begin of sequence")
	}
	if at := slices.IndexFunc(prompt, func(id int32) bool { return id < 0 || int(id) >= vocab }); at >= 0 {
		return fmt.Errorf("token %d of the prompt is %d, the vocabulary has %d", at, prompt[at], vocab)
	}
	return nil
}
