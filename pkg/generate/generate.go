package generate

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/model"
)

// Generate answers the requests: result [i][k] is sample k of request i. It reads p, float32 weights with an output
// projection, and depends on nothing but the arguments; Config.Slots does not matter either.
//
// onProgress, if not nil, is told the number of samples done and their total whenever some have ended, on the calling
// goroutine. When ctx ends, Generate stops before the next token and returns the context's error, wrapped. A prompt
// that leaves no room for an answer gives a *PromptTooLongError before anything is computed. NewPlan tells the memory it takes.
func Generate(ctx context.Context, p *model.Params, reqs []Request, cfg Config, onProgress func(done, total int)) ([][]Sample, error) {
	if p == nil || p.DType() != tensor.Float32 {
		return nil, errors.New("generate: want float32 weights: convert them with Params.As")
	}
	plan, err := NewPlan(p.Config(), reqs, cfg)
	if err != nil {
		return nil, err
	}
	if plan.Samples == 0 {
		return make([][]Sample, len(reqs)), nil
	}
	cfg.Slots = plan.Slots
	dec, err := model.NewDecoder(p, plan.Slots+spareSlots, plan.Context)
	if err != nil {
		return nil, fmt.Errorf("generate: %w", err)
	}
	b := newBatch(dec, reqs, cfg, p.Config().MaxSeqLen)
	if err := b.run(ctx, onProgress); err != nil {
		return nil, err
	}
	return b.out, nil
}

// checkRequests counts the samples and the tokens of the longest prompt.
func checkRequests(reqs []Request, shape model.Config) (samples, longest int, err error) {
	limit := shape.MaxSeqLen - 1
	for i, r := range reqs {
		switch {
		case len(r.Prompt) == 0:
			return 0, 0, fmt.Errorf("generate: request %d (ID %d): the prompt is empty, want at least the begin of sequence", i, r.ID)
		case len(r.Prompt) > limit:
			return 0, 0, &PromptTooLongError{Index: i, ID: r.ID, Length: len(r.Prompt), Limit: limit}
		case r.Samples < 1:
			return 0, 0, fmt.Errorf("generate: request %d (ID %d): Samples is %d, want at least 1", i, r.ID, r.Samples)
		}
		if at := slices.IndexFunc(r.Prompt, func(id int32) bool { return id < 0 || int(id) >= shape.VocabSize }); at >= 0 {
			return 0, 0, fmt.Errorf("generate: request %d (ID %d): token %d of the prompt is %d, the vocabulary has %d", i, r.ID, at, r.Prompt[at], shape.VocabSize)
		}
		samples += r.Samples
		longest = max(longest, len(r.Prompt))
	}
	return samples, longest, nil
}
