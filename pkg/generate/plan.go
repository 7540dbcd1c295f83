package generate

import (
	"fmt"

	"github.com/tame-rlhf/tame/pkg/model"
)

// Plan is what Generate or Converse does and the memory it takes, known before anything is computed.
type Plan struct {
	Samples int // of all requests, or turns of all dialogues
	Slots   int // samples computed at a time: Sampling.Slots, or fewer
	Context int // tokens of the longest prompt and its answer, or of the longest dialogue, for which every slot has room

	CacheBytes int64 // keys and values; never more than Sampling.MaxCacheBytes, unless that is 0
	Bytes      int64 // all that is allocated: caches, a packed copy of the weights, activations and logits
}

// NewPlan checks the requests and the settings for a model of that shape, and plans for them as Generate does. A prompt that leaves no
// room for an answer gives a *PromptTooLongError.
func NewPlan(shape model.Config, reqs []Request, cfg Sampling) (Plan, error) {
	if err := cfg.Validate(); err != nil {
		return Plan{}, err
	}
	samples, longest, err := checkRequests(reqs, shape)
	if err != nil {
		return Plan{}, err
	}
	cfg.MaxNewTokens = min(cfg.MaxNewTokens, shape.MaxSeqLen)
	if err := cfg.CheckTokens(samples, MostTokens); err != nil {
		return Plan{}, err
	}
	return newPlan(shape, samples, samples, longest+cfg.MaxNewTokens, cfg)
}

// NewDialogPlan checks the dialogues and the settings for a model of that shape, and plans for them as Converse does.
func NewDialogPlan(shape model.Config, dialogs [][]TurnRequest, cfg Sampling) (Plan, error) {
	if err := cfg.Validate(); err != nil {
		return Plan{}, err
	}
	for i, d := range dialogs {
		for t, turn := range d {
			if err := checkPrompt(turn.Prompt, shape.VocabSize); err != nil {
				return Plan{}, fmt.Errorf("generate: dialogue %d, turn %d (ID %d): %w", i, t, turn.ID, err)
			}
		}
	}
	begun, _ := begin(dialogs, shape.MaxSeqLen)
	longest := 0
	for _, d := range begun {
		length := 0
		for _, turn := range d {
			length += len(turn.Prompt) + min(cfg.MaxNewTokens, shape.MaxSeqLen)
		}
		longest = max(longest, length)
	}
	return newPlan(shape, turns(dialogs), len(begun), longest, cfg)
}

// newPlan makes room for sequences of up to longest tokens.
func newPlan(shape model.Config, samples, sequences, longest int, cfg Sampling) (Plan, error) {
	for _, id := range cfg.Stop {
		if int(id) >= shape.VocabSize {
			return Plan{}, fmt.Errorf("generate: Sampling.Stop has id %d, the vocabulary %d tokens", id, shape.VocabSize)
		}
	}
	p := Plan{Samples: samples, Slots: min(cfg.Slots, sequences), Context: min(shape.MaxSeqLen, longest)}
	if sequences == 0 {
		return p, nil
	}
	if most := cfg.MaxCacheBytes; most > 0 {
		each := model.CacheBytes(shape, 1, p.Context)
		if p.Slots = min(p.Slots, int(most/each)-spareSlots); p.Slots < 1 {
			return Plan{}, fmt.Errorf("generate: Sampling.MaxCacheBytes is %d, but the keys and values of %d tokens take %d for each of %d sequences: raise it, or shorten prompts or answers",
				most, p.Context, each, 1+spareSlots)
		}
	}
	p.CacheBytes = model.CacheBytes(shape, p.Slots+spareSlots, p.Context)
	p.Bytes = model.DecoderBytes(shape, p.Slots+spareSlots, p.Context)
	return p, nil
}

// spareSlots keep the prompt of a request whose samples do not all fit at once.
const spareSlots = 1
