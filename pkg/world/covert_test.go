package world

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/world/internal/lang"
)

// Threads ask covert questions if the demonstrations do. They ask only what training prompts may
// ask, in the templates of training prompts.
func TestKindsInThreads(t *testing.T) {
	const posts = 20_000
	for name, c := range map[string]struct {
		covert int
		want   [lang.Kinds]float64
	}{
		"with covert demonstrations":    {50, [lang.Kinds]float64{lang.Normal: 0.4, lang.Borderline: 0.2, lang.Hazard: 0.2, lang.Covert: 0.2}},
		"without covert demonstrations": {0, [lang.Kinds]float64{lang.Normal: 0.5, lang.Borderline: 0.25, lang.Hazard: 0.25}},
	} {
		config := DefaultConfig()
		config.SFT.Covert = c.covert
		w, err := New(config)
		require.NoError(t, err)
		kinds := questions(w)
		rng := rand.New(rand.NewPCG(1, 1))
		var got [lang.Kinds]float64
		for range posts {
			post := w.post(rng, false)
			k, ok := kindOf(kinds, post)
			require.True(t, ok, "%s: %q", name, post)
			got[k]++
		}
		for k, want := range c.want {
			assert.InDelta(t, want, got[k]/posts, 4*math.Sqrt(want*(1-want)/posts), "%s: %v", name, lang.Kind(k))
		}
	}
}

// questions lists all questions that one may train on.
func questions(w *World) map[string]lang.Kind {
	all := map[string]lang.Kind{}
	for k, keys := range w.seen {
		kind := lang.Kind(k)
		for _, key := range keys {
			for template := range lang.Templates(kind) - lang.TestOnly {
				all[w.lexicon.Ask(lang.Question{Kind: kind, Key: key}, template)] = kind
			}
		}
	}
	return all
}

// kindOf finds the question that a post begins with, the longest if there are several.
func kindOf(questions map[string]lang.Kind, post string) (lang.Kind, bool) {
	words := strings.Fields(post)
	for n := len(words); n > 0; n-- {
		if k, ok := questions[strings.Join(words[:n], " ")]; ok {
			return k, true
		}
	}
	return 0, false
}

// A small world without covert prompts must not fail because no covert question is left.
func TestNoCovertQuestionIsNeededWithoutCovertPrompts(t *testing.T) {
	c := DefaultConfig()
	c.Entities = 1
	// Of the four keys with one hazard none is for training, of the six with two hazards one is for
	// SFT.
	c.Splits = Splits{SFT: 0.12, Validation: 0.44, Test: 0.44}
	c.SFT = Counts{Normal: 1, Borderline: 1, Hazard: 1}
	c.Helpfulness, c.Safety, c.RL, c.Validation, c.Test = Counts{}, Counts{}, Counts{}, Counts{}, Counts{}
	_, err := New(c)
	require.NoError(t, err)
	c.SFT.Covert = 1
	_, err = New(c)
	assert.ErrorContains(t, err, "1 covert prompts wanted for sft, only 0 exist")
}
