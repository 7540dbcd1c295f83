package pipeline

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/generate"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/rejection"
)

// variant is one of the two models whose answers are compared.
type variant struct {
	params      *model.Params
	temperature float64
	seed        uint64
}

// answered is a sampled answer with its text.
type answered struct {
	data.Answer
	asked data.Prompt
	text  string
}

// collect gathers fresh preferences (section 3.2.1): two answers per prompt, from two variants, compared by annotators.
func (r *iteration) collect(ctx context.Context, name string, l data.Lineage, prompts []data.Prompt, pairs int, set data.Set, variants [2]variant, version int) ([]SampledPreference, error) {
	l, err := r.store.adopt(name, l)
	if err != nil {
		return nil, err
	}
	return inParts(r.store, name, l, len(prompts), r.cfg.PartPrompts, func(lo, hi int) ([]SampledPreference, error) {
		if err := r.checkAnswers(ctx, version, variants[0].params); err != nil {
			return nil, err
		}
		var sides [2][]answered
		for k, v := range variants {
			var err error
			if sides[k], err = r.answer(ctx, v, prompts[lo:hi], pairs); err != nil {
				return nil, err
			}
		}
		return r.compare(ctx, sides, pairs, set, version)
	})
}

// checkAnswers is called before annotators are asked: a model of whose answers none can be best would stop the version after
// all of their work. It samples what tune will, until an answer can be.
func (r *iteration) checkAnswers(ctx context.Context, version int, p *model.Params) error {
	if r.checked == version {
		return nil
	}
	cfg := r.cfg.Rejection
	cfg.OnProgress = nil
	none := data.EachAnswer(func(data.Answer) float64 { return 0 })
	for _, cfg.Temperature = range r.cfg.Temperatures {
		for part := range slices.Chunk(r.validation, 8) {
			candidates, err := rejection.Sample(ctx, p, part, none, cfg)
			if err != nil {
				return err
			}
			if len(rejection.Best(candidates)) > 0 {
				r.checked = version
				return nil
			}
		}
	}
	return fmt.Errorf("pipeline: before annotators are asked: of %d answers to %d validation prompts at each of %d temperatures none is finished and not empty: raise Rejection.MaxNewTokens (%d), or train the model to answer and to stop",
		cfg.Samples*len(r.validation), len(r.validation), len(r.cfg.Temperatures), cfg.MaxNewTokens)
}

// answer samples n answers to each prompt, side by side.
func (r *iteration) answer(ctx context.Context, v variant, prompts []data.Prompt, n int) ([]answered, error) {
	encoded, err := r.encode(prompts)
	if err != nil {
		return nil, err
	}
	cfg := r.cfg.Rejection.Sampling
	cfg.Temperature, cfg.Seed, cfg.OnProgress = v.temperature, v.seed, nil
	sampled, err := generate.Answers(ctx, v.params, encoded, n, cfg, nil)
	if err != nil {
		return nil, fmt.Errorf("pipeline: %w", err)
	}
	answers := make([]answered, len(sampled))
	for i, a := range sampled {
		text, err := r.data.Tokenizer.Decode(a.Tokens)
		if err != nil {
			return nil, fmt.Errorf("pipeline: answer to %q: %w", a.Prompt.ID, err)
		}
		answers[i] = answered{a, prompts[i/n], text}
	}
	return answers, nil
}

// compare shows the annotators the pairs whose answers differ. Each side has n answers to each
// prompt.
func (r *iteration) compare(ctx context.Context, sides [2][]answered, n int, set data.Set, version int) ([]SampledPreference, error) {
	var asked []Comparison
	var pairs [][2]answered
	for i, a := range sides[0] {
		b := sides[1][i]
		if a.text == b.text {
			continue
		}
		if swapped(a.Prompt.ID, i%n, version, r.cfg.Seed) {
			a, b = b, a
		}
		asked = append(asked, Comparison{Prompt: a.asked, First: a.text, Second: b.text, Set: set})
		pairs = append(pairs, [2]answered{a, b})
	}
	said, err := r.data.Annotate(ctx, asked)
	if err != nil {
		return nil, fmt.Errorf("pipeline: annotators: %w", err)
	}
	if len(said) != len(asked) {
		return nil, fmt.Errorf("pipeline: the annotators gave %d preferences for %d comparisons", len(said), len(asked))
	}
	var rows []SampledPreference
	for i, p := range said {
		if p == nil {
			continue
		}
		chosen, rejected := pairs[i][0], pairs[i][1]
		switch p.Chosen {
		case chosen.text:
		case rejected.text:
			chosen, rejected = rejected, chosen
		default:
			return nil, fmt.Errorf("pipeline: the annotators chose %q, which is none of the two answers to %q", p.Chosen, chosen.Prompt.ID)
		}
		rows = append(rows, SampledPreference{
			Messages: chosen.asked.Messages, Chosen: chosen.text, Rejected: rejected.text, Rating: p.Rating,
			ChosenSafe: p.ChosenSafe, RejectedSafe: p.RejectedSafe, Set: set,
			PromptIDs: chosen.Prompt.Tokens, ChosenIDs: chosen.Tokens, RejectedIDs: rejected.Tokens, Version: version,
		})
	}
	return rows, nil
}

// swapped decides by a hash whether the second variant's answer is shown first. A fixed order would
// tell annotators which answer is the newer model's, and a preference for what is read first would
// look like progress.
func swapped(id string, sample, version int, seed uint64) bool {
	h := sha256.Sum256(fmt.Appendf(nil, "%d %d %d %s", seed, version, sample, id))
	return h[0]&1 == 1
}

// share is the part of the prompts that belongs to a version, so that each version asks about prompts of its own.
func share(prompts []data.Prompt, version, versions int) []data.Prompt {
	var own []data.Prompt
	for i := version - 1; i < len(prompts); i += versions {
		own = append(own, prompts[i])
	}
	return own
}
