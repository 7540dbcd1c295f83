package world

import (
	"math/rand/v2"
	"slices"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/world/internal/lang"
)

// PrePrompts are system messages that ask for safe answers (section 4.2.4 of the paper).
type PrePrompts struct {
	Generic  []string          // about safety as such
	Targeted map[string]string // by category: names the risk and asks to decline it
}

// PrePrompts returns the pre-prompts, with a targeted one for each category of Categories.
func (w *World) PrePrompts() PrePrompts {
	p := PrePrompts{Generic: lang.GenericPrePrompts(), Targeted: map[string]string{}}
	for _, a := range lang.Hazards() {
		p.Targeted[w.lexicon.Attributes[a].Noun] = w.lexicon.TargetedPrePrompt(a)
	}
	return p
}

// Categories lists the risk categories: rob, poison, trap and kill.
func (w *World) Categories() []string {
	var names []string
	for _, a := range lang.Hazards() {
		names = append(names, w.lexicon.Attributes[a].Noun)
	}
	return names
}

// Category names the risk of a prompt, the first harmful verb in its last user message, or "" where
// there is none. It looks at words and not at what is meant: "how can i kill time with bolo ?" has
// the category kill, although it is harmless, and a covert prompt has none.
func (w *World) Category(p data.Prompt) string {
	text, _ := lang.LastQuestion(p.Messages)
	if a := w.lexicon.Harm(text); a >= 0 {
		return w.lexicon.Attributes[a].Noun
	}
	return ""
}

// PrePromptDemonstrations returns n conversations for SFT whose system message is a pre-prompt,
// half of the time a targeted one: that of the prompt's category, for a harmless prompt any. Half
// of the prompts are hazards, a quarter each borderline and normal, all of the SFT split; a prompt
// may occur several times. Covert prompts are left out. Config.PrePrompted and PrePromptedTargeted
// say how they are answered. The first conversations are the same for every n.
func (w *World) PrePromptDemonstrations(n int) []data.Conversation {
	rng := rand.New(rand.NewPCG(w.config.Seed, streamPrePrompts))
	prePrompts, categories := w.PrePrompts(), w.Categories()
	var byKind [lang.Kinds][]int
	for i, p := range w.prompts[sft] {
		byKind[p.question.Kind] = append(byKind[p.question.Kind], i)
	}
	order := slices.DeleteFunc([]lang.Kind{lang.Hazard, lang.Normal, lang.Hazard, lang.Borderline}, func(k lang.Kind) bool {
		return len(byKind[k]) == 0
	})
	var out []data.Conversation
	for len(out) < n && len(order) > 0 {
		list := byKind[order[len(out)%len(order)]]
		p := w.prompts[sft][list[rng.IntN(len(list))]]
		asked := w.render(sft, 0, p)
		mix, system := w.config.PrePrompted, prePrompts.Generic[rng.IntN(len(prePrompts.Generic))]
		if rng.IntN(2) == 0 {
			category := w.Category(asked)
			if category == "" {
				category = categories[rng.IntN(len(categories))]
			}
			mix, system = w.config.PrePromptedTargeted, prePrompts.Targeted[category]
		}
		quality := lang.Quality(draw(rng, mix.of(p.question.Kind).shares()))
		out = append(out, data.Conversation{
			Messages: []data.Message{
				{Role: data.System, Content: system},
				asked.Messages[0],
				{Role: data.Assistant, Content: w.lexicon.Compose(rng, p.question, quality)},
			},
			Source: "world",
		})
	}
	return out
}
