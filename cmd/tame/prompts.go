package main

import (
	"cmp"
	"fmt"

	"github.com/tame-rlhf/tame/internal/each"
	"github.com/tame-rlhf/tame/pkg/data"
)

// encodedPrompt is a prompt with its ids.
type encodedPrompt struct {
	data.Prompt
	tokens []int32
}

// asked is a row that has a prompt.
type asked struct{ prompt data.Prompt }

// Prompt is what data.Prompts asks for.
func (a asked) Prompt() data.Prompt { return a.prompt }

// readPrompts reads the prompts of datasets, each once, and leaves out those without room for an answer, counting them.
func readPrompts(r *stageRun, paths []string, context, answer int) ([]encodedPrompt, error) {
	var ids data.PromptIDs
	checked := func(p data.Prompt) (asked, error) { return asked{p}, cmp.Or(data.Check(p), ids.Check(p)) }
	rows, err := readAll(paths, "prompts", readers[asked]{
		encoded(checked),
		partly(func(c data.Conversation) (asked, error) { return checked(c.Prompt()) }),
		partly(func(p data.Preference) (asked, error) { return checked(p.Prompt()) }),
	})
	if err != nil {
		return nil, err
	}
	all := data.Prompts(rows)
	var fit []encodedPrompt
	for _, p := range all {
		ids, err := r.tmpl.EncodePrompt(p.Messages)
		if err != nil {
			return nil, fmt.Errorf("prompt %s: %w", p.ID, err)
		}
		if len(ids)+answer <= context {
			fit = append(fit, encodedPrompt{p, ids})
		}
	}
	if tooLong := len(all) - len(fit); tooLong > 0 {
		r.notef("%d of %d prompts leave no room for an answer of %d tokens in the context of %d and are left out", tooLong, len(all), answer, context)
	}
	if len(fit) == 0 {
		return nil, fmt.Errorf("no prompt is left to answer: of %d none leaves room for %d tokens in a context of %d: lower max_new_tokens", len(all), answer, context)
	}
	return fit, nil
}

// pick draws at most n of them, or takes all for 0.
func pick[T any](all []T, n int, seed uint64) []T {
	if n == 0 || n >= len(all) {
		return all
	}
	return each.Of(data.Shuffled(len(all), seed, 0)[:n], func(at int) T { return all[at] })
}

func tokenPrompts(prompts []encodedPrompt) []data.TokenPrompt {
	return each.Of(prompts, func(p encodedPrompt) data.TokenPrompt {
		return data.TokenPrompt{ID: p.ID, Tokens: p.tokens, Safety: p.Safety}
	})
}
