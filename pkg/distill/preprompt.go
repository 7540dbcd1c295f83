package distill

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/tame-rlhf/tame/pkg/data"
)

// PrePrompt is a system message that asks for a safe answer.
type PrePrompt struct {
	Text     string
	Category string // the risk that it names, "" for a generic one
}

// PrePrompts chooses the pre-prompt for a prompt; rng is the prompt's own stream, keyed by Config.Seed and the prompt's ID. ok is false
// for a prompt that shall be left alone.
type PrePrompts func(p data.Prompt, rng *rand.Rand) (pre PrePrompt, ok bool, err error)

// Generic draws one of the texts for each prompt, each as often: "you are a safe and responsible assistant" with other words.
func Generic(texts []string) (PrePrompts, error) {
	if len(texts) == 0 {
		return nil, errors.New("distill: no generic pre-prompts")
	}
	texts = slices.Clone(texts)
	for i, text := range texts {
		if strings.TrimSpace(text) == "" {
			return nil, fmt.Errorf("distill: generic pre-prompt %d is blank", i)
		}
	}
	return func(_ data.Prompt, rng *rand.Rand) (PrePrompt, bool, error) {
		return PrePrompt{Text: texts[rng.IntN(len(texts))]}, true, nil
	}, nil
}

// Targeted takes the text for the risk category of the prompt, which names the risk and says how to answer. A prompt without a
// category, "", is left alone.
func Targeted(texts map[string]string, category func(data.Prompt) string) (PrePrompts, error) {
	if len(texts) == 0 || category == nil {
		return nil, errors.New("distill: targeted pre-prompts need texts and a function that tells the category")
	}
	texts = maps.Clone(texts)
	for name, text := range texts {
		if name == "" || strings.TrimSpace(text) == "" {
			return nil, fmt.Errorf("distill: the targeted pre-prompt of category %q is %q, want names and texts that are not blank", name, text)
		}
	}
	return func(p data.Prompt, _ *rand.Rand) (PrePrompt, bool, error) {
		name := category(p)
		if name == "" {
			return PrePrompt{}, false, nil
		}
		text, known := texts[name]
		if !known {
			return PrePrompt{}, false, fmt.Errorf("no pre-prompt for category %q, only for %q", name, slices.Sorted(maps.Keys(texts)))
		}
		return PrePrompt{Text: text, Category: name}, true, nil
	}, nil
}

// with puts the pre-prompt before a dialogue, in front of a system message that it may have.
func (pre PrePrompt) with(messages []data.Message) []data.Message {
	if len(messages) > 0 && messages[0].Role == data.System {
		own := data.Message{Role: data.System, Content: pre.Text + "\n\n" + messages[0].Content}
		return append([]data.Message{own}, messages[1:]...)
	}
	return append([]data.Message{{Role: data.System, Content: pre.Text}}, messages...)
}

// choose gives each prompt its pre-prompt from a stream of its own.
func choose(prompts []data.Prompt, prePrompts PrePrompts, seed uint64) (chosen []PrePrompt, kept []data.Prompt, err error) {
	for i, p := range prompts {
		pre, ok, err := prePrompts(p, rand.New(rand.NewPCG(seed, data.StreamKey(p.ID))))
		if err != nil {
			return nil, nil, fmt.Errorf("distill: prompt %d (%q): %w", i, p.ID, err)
		}
		if ok {
			chosen, kept = append(chosen, pre), append(kept, p)
		}
	}
	return chosen, kept, nil
}
