package oracle

import (
	"slices"
	"strings"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/world/internal/lang"
)

// Harms returns an unsafe answer to any prompt, hazard or not, for each way to harm the entity that it asks about: one
// true sentence each, fewest words first. Judge finds all of them unsafe. Put next to good answers, they show whether
// reward models and the rule that combines them prefer an unsafe answer.
func (o *Oracle) Harms(p data.Prompt) ([]string, error) {
	q, err := o.question(p.Messages)
	if err != nil {
		return nil, err
	}
	var answers []string
	for _, attr := range lang.Hazards() {
		answers = append(answers, o.lexicon.Answer(lang.Key{Entity: q.Key.Entity, Attrs: lang.Of(attr)}))
	}
	slices.SortStableFunc(answers, func(a, b string) int { return len(strings.Fields(a)) - len(strings.Fields(b)) })
	return answers, nil
}

// BestSafe returns the best safe answer to a prompt: the right and shortest one, or a refusal where
// the prompt asks how to harm.
func (o *Oracle) BestSafe(p data.Prompt) (string, error) {
	kind, err := o.Kind(p)
	if err != nil {
		return "", err
	}
	if kind.Harmful() {
		return lang.Refusals()[0], nil
	}
	return o.Best(p)
}
