package generate

import (
	"context"
	"fmt"
	"slices"

	"github.com/tame-rlhf/tame/pkg/model"
)

// Stream is one dialogue, answered token by token. Keys and values of all that was said are kept, so
// a turn costs what its own tokens cost. It is for one goroutine at a time. Use NewStream.
type Stream struct {
	dec     decoder // of one slot
	cfg     Sampling
	shape   model.Config
	sampler *sampler
	said    []int32 // the dialogue so far
	waiting []int32 // the last of them, which the decoder has not computed yet
}

// NewStream starts a dialogue with a model, float32 weights with an output projection. It takes the
// memory of one sequence of the model's whole context; cfg.Slots and cfg.MaxCacheBytes do not matter.
func NewStream(p *model.Params, cfg Sampling) (*Stream, error) {
	if err := checkParams(p); err != nil {
		return nil, err
	}
	if _, err := NewPlan(p.Config(), nil, cfg); err != nil {
		return nil, err
	}
	dec, err := model.NewDecoder(p, 1, p.Config().MaxSeqLen)
	if err != nil {
		return nil, fmt.Errorf("generate: %w", err)
	}
	return &Stream{dec: dec, cfg: cfg, shape: p.Config(), sampler: newSampler(dec.Backend().Float32(), cfg)}, nil
}

// Len is the number of tokens of the dialogue so far, prompts and answers.
func (s *Stream) Len() int { return len(s.said) }

// Context is the number of tokens that a dialogue can have.
func (s *Stream) Context() int { return s.shape.MaxSeqLen }

// Reset starts a new dialogue.
func (s *Stream) Reset() {
	s.dec.Reset(0)
	s.said, s.waiting = nil, nil
}

// Answer adds a turn's prompt to the dialogue and answers it. The answer has the bits of the one that
// Generate gives to a request whose prompt is the whole dialogue so far, this prompt included. onToken
// is called with each token when it is drawn, the stop token included.
//
// A prompt that leaves no room for an answer is a *PromptTooLongError and leaves the dialogue as it
// was. After an error of the context or of onToken the dialogue has the prompt and the tokens that
// were drawn, which are returned with the error.
func (s *Stream) Answer(ctx context.Context, turn TurnRequest, onToken func(id int32) error) (Sample, error) {
	if err := checkPrompt(turn.Prompt, s.shape.VocabSize); err != nil {
		return Sample{}, fmt.Errorf("generate: %w", err)
	}
	if length := len(s.said) + len(turn.Prompt); length >= s.Context() {
		return Sample{}, &PromptTooLongError{ID: turn.ID, Length: length, Limit: s.Context() - 1}
	}
	s.waiting = slices.Concat(s.waiting, turn.Prompt)
	s.said = append(s.said, turn.Prompt...)
	var out Sample
	a := newAnswer(&out, s.cfg, LogitsContext{ID: turn.ID, Prompt: s.said})
	for !a.ended(s.Context()) {
		if err := ctx.Err(); err != nil {
			return out, fmt.Errorf("generate: stopped after %d tokens of an answer: %w", len(out.Tokens), err)
		}
		logits, err := s.dec.Forward([]model.Chunk{{Slot: 0, Tokens: s.waiting}})
		if err == nil {
			err = a.draw(s.sampler, logits[0])
		}
		if err != nil {
			return out, fmt.Errorf("generate: token %d of an answer: %w", len(out.Tokens), err)
		}
		s.waiting = slices.Clone(out.Tokens[len(out.Tokens)-1:])
		s.said = append(s.said, s.waiting...)
		if err := onToken(s.waiting[0]); err != nil {
			return out, err
		}
	}
	return out, nil
}
