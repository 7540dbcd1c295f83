package world

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/world/internal/judge"
	"github.com/tame-rlhf/tame/pkg/world/internal/lang"
)

func defaultWorld(t *testing.T) *World {
	t.Helper()
	w, err := New(DefaultConfig())
	require.NoError(t, err)
	return w
}

// texts returns the user's text of every prompt of every use.
func texts(w *World) map[string][]data.Prompt {
	all := map[string][]data.Prompt{
		"helpfulness": w.PreferencePrompts(data.HelpfulnessSet),
		"safety":      w.PreferencePrompts(data.SafetySet),
		"rl":          w.RLPrompts(),
		"validation":  w.ValidationPrompts(),
		"test":        w.TestPrompts(),
	}
	for _, c := range w.Demonstrations() {
		all["sft"] = append(all["sft"], data.Prompt{ID: "sft", Messages: c.Messages[:1]})
	}
	return all
}

func TestCounts(t *testing.T) {
	w := defaultWorld(t)
	c := w.Config()
	all := texts(w)
	for name, want := range map[string]Counts{"sft": c.SFT, "helpfulness": c.Helpfulness, "safety": c.Safety, "rl": c.RL,
		"validation": c.Validation, "test": c.Test} {
		var got Counts
		ids, said := map[string]bool{}, map[string]bool{}
		for _, p := range all[name] {
			require.NoError(t, p.Validate())
			q, err := w.lexicon.ParseMessages(p.Messages)
			require.NoError(t, err)
			switch q.Kind {
			case lang.Normal:
				got.Normal++
			case lang.Borderline:
				got.Borderline++
			case lang.Hazard:
				got.Hazard++
			case lang.Covert:
				got.Covert++
			}
			if name != "sft" {
				assert.Equal(t, q.Kind == lang.Hazard, p.Safety)
				assert.False(t, ids[p.ID], p.ID)
			}
			ids[p.ID], said[p.Messages[0].Content] = true, true
		}
		assert.Equal(t, want, got, name)
		assert.Len(t, said, want.Total(), "%s: every prompt occurs once", name)
	}
	assert.GreaterOrEqual(t, c.Test.Total(), 500)
	assert.GreaterOrEqual(t, c.Validation.Total(), 250)
	assert.GreaterOrEqual(t, c.RL.Total(), 1000)
	assert.GreaterOrEqual(t, c.Helpfulness.Total()+c.Safety.Total(), 1500)
}

func TestSplitsAskDifferentThings(t *testing.T) {
	for seed := range uint64(3) {
		c := DefaultConfig()
		c.Seed = seed
		w, err := New(c)
		require.NoError(t, err)
		owner := map[lang.Key]string{}
		asked := map[lang.Question]bool{}
		for name, prompts := range texts(w) {
			if name == "safety" {
				name = "helpfulness" // one split: preferences
			}
			for _, p := range prompts {
				q, err := w.lexicon.ParseMessages(p.Messages)
				require.NoError(t, err)
				if other, ok := owner[q.Key]; ok {
					require.Equal(t, other, name, p.Messages[0].Content)
				}
				owner[q.Key] = name
				asked[q] = true
			}
		}
		// Borderline prompts share the keys of normal ones and covert prompts those of hazard ones,
		// so the check above covers every kind.
		assert.Greater(t, len(owner), 1500)
		shared := map[lang.Kind]int{}
		for q := range asked {
			for k := range lang.Kind(lang.Kinds) {
				if k != q.Kind && asked[lang.Question{Kind: k, Key: q.Key}] {
					shared[q.Kind]++
				}
			}
		}
		for k := range lang.Kind(lang.Kinds) {
			assert.NotZero(t, shared[k], "%v prompts share no key with another kind", k)
		}
	}
}

func TestHeldOutTemplates(t *testing.T) {
	w := defaultWorld(t)
	unseen := 0
	for u := range numUses {
		for _, p := range w.prompts[u] {
			if p.template >= lang.Templates(p.question.Kind)-lang.TestOnly {
				require.Equal(t, test, u)
				unseen++
			}
		}
	}
	n := float64(len(w.prompts[test]))
	assert.InDelta(t, 0.2, float64(unseen)/n, 0.06, "a fifth of the test prompts has a template of its own")
}

// The pretraining text asks nothing that validation or test ask, and nothing by a test-only template.
func TestPretrainingHoldsNoTestQuestion(t *testing.T) {
	c := DefaultConfig()
	c.Pretraining.Words = 150_000
	w, err := New(c)
	require.NoError(t, err)
	forbidden, allowed := map[string]bool{}, 0
	seen := map[lang.Question]bool{}
	for k, keys := range w.seen {
		for _, key := range keys {
			seen[lang.Question{Kind: lang.Kind(k), Key: key}] = true
		}
	}
	for k := range lang.Kind(lang.Kinds) {
		for _, key := range lang.Keys(k, c.Entities) {
			q := lang.Question{Kind: k, Key: key}
			for template := range lang.Templates(k) {
				// "i met bolo . what is the home ?" may follow anything, so ends are no guide: whole questions only.
				if !seen[q] || template >= lang.Templates(k)-lang.TestOnly {
					forbidden[w.lexicon.Ask(q, template)] = true
				} else {
					allowed++
				}
			}
		}
	}
	assert.Greater(t, allowed, 10_000)
	for doc := range w.Pretraining() {
		words := strings.Fields(doc)
		for i := range words {
			if i > 0 && !strings.ContainsAny(words[i-1], ".?:") {
				continue
			}
			for n := 3; n <= 20 && i+n <= len(words); n++ {
				if e := words[i+n-1]; e == "." || e == "?" {
					q := strings.Join(words[i:i+n], " ")
					require.False(t, forbidden[q], "%q in %q", q, doc)
				}
			}
		}
	}
}

func TestPretrainingText(t *testing.T) {
	c := DefaultConfig()
	c.Pretraining.Words = 400_000
	w, err := New(c)
	require.NoError(t, err)
	var all strings.Builder
	distinct := map[string]bool{}
	words := 0
	for doc := range w.Pretraining() {
		fields := strings.Fields(doc)
		require.LessOrEqual(t, len(fields), c.Pretraining.MaxWords)
		require.NotContains(t, doc, "[")
		words += len(fields)
		for _, f := range fields {
			distinct[f] = true
		}
		all.WriteString(doc + "\n")
	}
	assert.InDelta(t, c.Pretraining.Words, words, float64(c.Pretraining.MaxWords))
	assert.Less(t, len(distinct), 300, "a small vocabulary")
	text := all.String()
	for _, name := range w.Entities()[:8] { // every fact is told often; 3 million words tell it 7 times as often
		e := indexOf(w.Entities(), name)
		for a := range w.lexicon.Attributes {
			assert.Greater(t, strings.Count(text, w.lexicon.Phrase(e, a, w.lexicon.Fact(e, a))), 10)
		}
	}
	for _, kind := range []string{"i can not help", "no , that is wrong", "is it true that", "it depends", "rob " + w.Entities()[0] + " at the",
		" fall ill ?"} {
		assert.Contains(t, text, kind)
	}
}

func indexOf(list []string, s string) int {
	for i, x := range list {
		if x == s {
			return i
		}
	}
	return -1
}

func TestDeterminism(t *testing.T) {
	gather := func(seed uint64) (string, map[string][]data.Prompt, []data.Conversation) {
		c := DefaultConfig()
		c.Seed, c.Pretraining.Words = seed, 5000
		w, err := New(c)
		require.NoError(t, err)
		read := func() string {
			var b strings.Builder
			for doc := range w.Pretraining() {
				b.WriteString(doc + "\n")
			}
			return b.String()
		}
		for range w.Pretraining() { // breaking off changes nothing
			break
		}
		text := read()
		assert.Equal(t, text, read())
		return text, texts(w), w.Demonstrations()
	}
	text1, prompts1, demos1 := gather(1)
	text2, prompts2, demos2 := gather(1)
	assert.Equal(t, text1, text2)
	assert.Equal(t, prompts1, prompts2)
	assert.Equal(t, demos1, demos2)
	text3, prompts3, demos3 := gather(2)
	assert.NotEqual(t, text1, text3)
	assert.NotEqual(t, prompts1["test"], prompts3["test"])
	assert.NotEqual(t, demos1, demos3)
}

// A policy that knows every fact and imitates the demonstrations starts where RLHF has room: that is the upper end of what SFT reaches.
func TestDemonstrations(t *testing.T) {
	for seed := range uint64(4) {
		c := DefaultConfig()
		c.Seed = seed
		w, err := New(c)
		require.NoError(t, err)
		j := judge.New(w.lexicon)
		var helpful, unsafe, refused, n [lang.Kinds]float64
		for _, d := range w.Demonstrations() {
			require.NoError(t, d.Validate())
			q, err := w.lexicon.ParseMessages(d.Messages[:1])
			require.NoError(t, err)
			v := j.Judge(q, d.Messages[1].Content)
			n[q.Kind]++
			helpful[q.Kind] += v.Helpful
			if v.Unsafe {
				unsafe[q.Kind]++
			}
			if v.Refusal {
				refused[q.Kind]++
			}
		}
		share := func(k lang.Kind, want, got float64, what string) {
			p := got / n[k]
			assert.InDelta(t, want, p, 4*math.Sqrt(want*(1-want)/n[k]), "%v: %s, seed %d", k, what, seed)
		}
		mixes := map[lang.Kind]Mix{lang.Normal: c.Demonstrations.Normal, lang.Borderline: c.Demonstrations.Borderline,
			lang.Hazard: c.Demonstrations.Hazard, lang.Covert: c.Demonstrations.Covert}
		require.Len(t, mixes, lang.Kinds)
		for k, mix := range mixes {
			share(k, mix.Refuse, refused[k], "refusals")
			complying := 0.0
			if k == lang.Hazard || k == lang.Covert {
				complying = 1 - mix.Evasive - mix.Refuse
			}
			share(k, complying, unsafe[k], "unsafe answers")
		}
		assert.Greater(t, unsafe[lang.Covert]/n[lang.Covert], unsafe[lang.Hazard]/n[lang.Hazard], "demonstrations comply more often where the harm is not named")
		answerable := (helpful[lang.Normal]/n[lang.Normal]*float64(c.Test.Normal) + helpful[lang.Borderline]/n[lang.Borderline]*
			float64(c.Test.Borderline)) / float64(c.Test.Normal+c.Test.Borderline)
		assert.InDelta(t, 0.60, answerable, 0.15, "where SFT has to start: helpfulness 0.45 to 0.75")
	}
}

func TestValidate(t *testing.T) {
	require.NoError(t, DefaultConfig().Validate())
	c := DefaultConfig()
	c.Entities = 0
	c.Splits.SFT = 0.5
	c.Web.Hazard.Refuse = -1
	c.Demonstrations.Covert = Mix{}
	c.Pretraining.MaxWords = 10
	c.Test.Hazard, c.RL.Covert = -1, -1
	c.PrePrompted.Covert.Refuse = 1
	err := c.Validate()
	for _, want := range []string{"PrePrompted.Covert or PrePromptedTargeted.Covert is set", "Entities is 0", "Splits add up to 1.2", "Web (hazard)", "shares of Demonstrations (covert) add up to 0",
		"MaxWords is 10", "test has negative counts", "rl has negative counts"} {
		assert.ErrorContains(t, err, want)
	}
	_, err = New(c)
	assert.Error(t, err)

	c = DefaultConfig()
	c.RL.Hazard = 10_000
	_, err = New(c)
	assert.ErrorContains(t, err, "10000 hazard prompts wanted for rl, only 768 exist: raise")

	// Of 48 * 4 keys with one hazard, those from 0.55 to 0.75 are for RL: 106 to 144. Each has 8
	// templates.
	c = DefaultConfig()
	c.RL.Covert = 10_000
	_, err = New(c)
	assert.ErrorContains(t, err, "10000 covert prompts wanted for rl, only 304 exist: raise")

	c = DefaultConfig()
	c.Splits = Splits{Validation: 0.5, Test: 0.5}
	c.SFT, c.Helpfulness, c.Safety, c.RL = Counts{}, Counts{}, Counts{}, Counts{}
	_, err = New(c)
	assert.ErrorContains(t, err, "no normal question is left for the pretraining text")
	c.Pretraining.Threads, c.Pretraining.Pages = 0, 0.85
	_, err = New(c)
	assert.NoError(t, err)
}

func TestDraw(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var n [4]int
	for range 10_000 {
		n[draw(rng, []float64{0.5, 0, 0.3, 0.2})]++
	}
	assert.Zero(t, n[1])
	for i, p := range []float64{0.5, 0, 0.3, 0.2} {
		assert.InDelta(t, p, float64(n[i])/10_000, 0.02) // four standard deviations
	}
}
