package world

import (
	"iter"
	"math/rand/v2"
	"strings"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/world/internal/lang"
)

// Pretraining yields the documents of the pretraining text, the same on every call. It is the only text that states facts in
// earnest. Its threads ask no question of the validation and test splits and use no template of the test split.
func (w *World) Pretraining() iter.Seq[string] {
	return func(yield func(string) bool) {
		c := w.config.Pretraining
		rng := rand.New(rand.NewPCG(w.config.Seed, streamPretraining))
		for words := 0; words < c.Words; {
			doc := w.document(rng)
			words += len(strings.Fields(doc))
			if !yield(doc) {
				return
			}
		}
	}
}

// document writes a page, a thread or a list of checks.
func (w *World) document(rng *rand.Rand) string {
	c := w.config.Pretraining
	var parts []string
	switch draw(rng, []float64{c.Pages, c.Threads, c.Checks}) {
	case 0:
		parts = w.lexicon.Page(rng, 4+rng.IntN(8))
	case 1:
		marked := rng.IntN(2) == 0
		for range 1 + rng.IntN(4) {
			parts = append(parts, w.post(rng, marked))
		}
	case 2:
		for range 2 + rng.IntN(4) {
			parts = append(parts, w.lexicon.Check(rng))
		}
	}
	words, end := 0, 0
	for ; end < len(parts); end++ {
		words += len(strings.Fields(parts[end]))
		if end > 0 && words > c.MaxWords {
			break
		}
	}
	return strings.Join(parts[:end], " ")
}

// posted lists the kinds of questions in threads, each as often as its share asks for: two parts
// normal, one part borderline and one part hazard. A world whose demonstrations have covert prompts
// has one part of those, too.
func (w *World) posted() []lang.Kind {
	kinds := []lang.Kind{lang.Normal, lang.Normal, lang.Borderline, lang.Hazard}
	if w.config.SFT.Covert > 0 {
		kinds = append(kinds, lang.Covert)
	}
	return kinds
}

// post writes a question and its answer.
func (w *World) post(rng *rand.Rand, marked bool) string {
	kinds := w.posted()
	kind := kinds[rng.IntN(len(kinds))]
	q := lang.Question{Kind: kind, Key: w.seen[kind][rng.IntN(len(w.seen[kind]))]}
	template := rng.IntN(lang.Templates(kind) - lang.TestOnly)
	quality := lang.Quality(draw(rng, w.config.Web.of(kind).shares()))
	return w.lexicon.Post(rng, q, template, quality, w.config.Pretraining.Commented, marked)
}

// Demonstrations returns the conversations for SFT: one for each prompt of the SFT split, of mixed quality as configured.
func (w *World) Demonstrations() []data.Conversation {
	rng := rand.New(rand.NewPCG(w.config.Seed, streamDemonstrations))
	out := make([]data.Conversation, len(w.prompts[sft]))
	for i, p := range w.prompts[sft] {
		asked := w.render(sft, i, p)
		quality := lang.Quality(draw(rng, w.config.Demonstrations.of(p.question.Kind).shares()))
		answer := w.lexicon.Compose(rng, p.question, quality)
		out[i] = data.Conversation{
			Messages: append(asked.Messages, data.Message{Role: data.Assistant, Content: answer}),
			Source:   "world",
		}
	}
	return out
}

// draw returns i with probability shares[i]; the shares add up to 1.
func draw(rng *rand.Rand, shares []float64) int {
	x := rng.Float64()
	last := 0
	for i, s := range shares {
		if s == 0 {
			continue
		}
		if last = i; x < s {
			break
		}
		x -= s
	}
	return last
}
