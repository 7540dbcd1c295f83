package world

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/world/internal/judge"
	"github.com/tame-rlhf/tame/pkg/world/internal/lang"
)

func annotator(t *testing.T, w *World, change func(*AnnotatorConfig)) *Annotator {
	t.Helper()
	c := DefaultAnnotatorConfig()
	if change != nil {
		change(&c)
	}
	a, err := NewAnnotator(w, c)
	require.NoError(t, err)
	return a
}

// sampled answers a prompt as the demonstrations do.
func sampled(w *World, rng *rand.Rand, p data.Prompt) string {
	q, _ := w.lexicon.ParseMessages(p.Messages)
	return w.lexicon.Compose(rng, q, lang.Quality(draw(rng, w.config.Demonstrations.of(q.Kind).shares())))
}

func firstOf(w *World, prompts []data.Prompt, k lang.Kind, asked int) (data.Prompt, lang.Question) {
	for _, p := range prompts {
		if q, _ := w.lexicon.ParseMessages(p.Messages); q.Kind == k && q.Attrs.Len() == asked {
			return p, q
		}
	}
	panic("no such prompt")
}

func TestChoiceAndRatingFrequencies(t *testing.T) {
	w := defaultWorld(t)
	p, q := firstOf(w, w.RLPrompts(), lang.Normal, 2)
	good := w.lexicon.Answer(q.Key)                                                         // helpfulness 1
	half := w.lexicon.Answer(lang.Key{Entity: q.Entity, Attrs: lang.Of(q.Attrs.List()[0])}) // helpfulness 2/3
	const people = 20_000
	c := DefaultAnnotatorConfig()
	cdf := func(x float64) float64 { return 1 / (1 + math.Exp(-(x-1./3)/c.Noise)) } // of the noisy difference
	t1, t2, t3 := c.Thresholds[0], c.Thresholds[1], c.Thresholds[2]
	wantGood := [4]float64{cdf(t1) - cdf(0), cdf(t2) - cdf(t1), cdf(t3) - cdf(t2), 1 - cdf(t3)}
	wantHalf := [4]float64{cdf(0) - cdf(-t1), cdf(-t1) - cdf(-t2), cdf(-t2) - cdf(-t3), cdf(-t3)}
	var gotGood, gotHalf [4]float64
	flips := 0.0
	for seed := range uint64(people) {
		pref, ok, err := annotator(t, w, func(c *AnnotatorConfig) { c.Seed = seed }).Compare(p, half, good, data.HelpfulnessSet)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, p.Messages, pref.Messages)
		if i := pref.Rating - data.NegligiblyBetter; pref.Chosen == good {
			gotGood[i]++
		} else {
			gotHalf[i]++
		}
		for _, s := range []data.Safety{pref.ChosenSafe, pref.RejectedSafe} {
			if s == data.Unsafe {
				flips++
			}
		}
	}
	for i := range 4 {
		for _, c := range [][2]float64{{wantGood[i], gotGood[i]}, {wantHalf[i], gotHalf[i]}} {
			assert.InDelta(t, c[0], c[1]/people, 4*math.Sqrt(c[0]*(1-c[0])/people))
		}
	}
	assert.InDelta(t, 0.05, flips/(2*people), 4*math.Sqrt(0.05*0.95/(2*people)))
}

func TestCompareIgnoresOrder(t *testing.T) {
	w := defaultWorld(t)
	a, b := annotator(t, w, nil), annotator(t, w, nil)
	rng := rand.New(rand.NewPCG(1, 1))
	kept := 0
	for _, p := range w.PreferencePrompts(data.SafetySet)[:300] {
		x, y := sampled(w, rng, p), sampled(w, rng, p)
		p1, ok1, err1 := a.Compare(p, x, y, data.SafetySet)
		_, _, _ = b.Compare(p, y+" x", x, data.SafetySet) // another question between changes nothing
		p2, ok2, err2 := b.Compare(p, y, x, data.SafetySet)
		require.NoError(t, err1)
		require.NoError(t, err2)
		require.Equal(t, ok1, ok2)
		require.Equal(t, p1, p2)
		if ok1 {
			kept++
			require.NoError(t, p1.Validate())
			require.Equal(t, data.SafetySet, p1.Set)
		}
		require.False(t, ok1 && x == y, "the same answer twice is no choice")
	}
	assert.Greater(t, kept, 100)
}

func TestSafetySet(t *testing.T) {
	w := defaultWorld(t)
	for _, k := range []lang.Kind{lang.Hazard, lang.Covert} {
		t.Run(k.String(), func(t *testing.T) { testSafetySet(t, w, k) })
	}
}

func testSafetySet(t *testing.T, w *World, k lang.Kind) {
	p, q := firstOf(w, w.RLPrompts(), k, 1)
	comply, refuse := w.lexicon.Answer(q.Key), lang.Refusals()[0]
	n, conflict := 0, 0
	for seed := range uint64(2000) {
		a := annotator(t, w, func(c *AnnotatorConfig) { c.Seed = seed })
		pref, ok, err := a.Compare(p, comply, refuse, data.SafetySet)
		require.NoError(t, err)
		if ok {
			n++
			require.False(t, pref.ChosenSafe == data.Unsafe && pref.RejectedSafe == data.Safe)
			require.Equal(t, refuse, pref.Chosen) // 1.9 apart: 8.6 times the noise
		}
		help, ok, err := a.Compare(p, comply, refuse, data.HelpfulnessSet)
		require.NoError(t, err)
		require.True(t, ok, "the helpfulness set keeps unsafe preferred answers")
		if help.Chosen == comply {
			conflict++
		}
	}
	// Left out: the refusal labelled unsafe and the compliance safe, 0.05 * 0.05 of the pairs.
	assert.InDelta(t, 2000*(1-0.0025), n, 4*math.Sqrt(2000*0.0025))
	assert.Greater(t, conflict, 1900, "helpfulness and safety disagree")

	// Labels that differ have decided which pair was kept, so the choice is known from them.
	a := annotator(t, w, nil)
	for _, c := range []struct {
		chosen, rejected string
		want             float64
	}{{refuse, comply, 1}, {comply, refuse, 0}, {refuse, lang.Refusals()[1], 0.5}} {
		got, err := a.Predictability(data.Preference{Messages: p.Messages, Chosen: c.chosen, Rejected: c.rejected, Set: data.SafetySet,
			Rating: data.Better, ChosenSafe: data.Safe, RejectedSafe: data.Unsafe})
		require.NoError(t, err)
		assert.Equal(t, c.want, got)
	}

}

// Two safe answers differ by 0.3: the helpful and the refusing one to a borderline prompt, the
// refusing and the evasive one to a hazard or covert prompt.
func TestSafetySetAmongSafeAnswers(t *testing.T) {
	w := defaultWorld(t)
	refuse, evasive := lang.Refusals()[0], lang.Evasions()[0]
	for _, k := range []lang.Kind{lang.Borderline, lang.Hazard, lang.Covert} {
		p, q := firstOf(w, w.RLPrompts(), k, 1)
		better, worse := refuse, evasive
		if k == lang.Borderline {
			better, worse = w.lexicon.Answer(q.Key), refuse
		}
		chosen := 0
		for seed := range uint64(2000) {
			pref, ok, err := annotator(t, w, func(c *AnnotatorConfig) { c.Seed, c.LabelFlips = seed, 0 }).Compare(p, better, worse, data.SafetySet)
			require.NoError(t, err)
			require.True(t, ok)
			if pref.Chosen == better {
				chosen++
			}
		}
		assert.InDelta(t, 1/(1+math.Exp(-0.3/0.22)), float64(chosen)/2000, 0.04, k)
	}
}

func TestCompareNeedsAQuestion(t *testing.T) {
	w := defaultWorld(t)
	a := annotator(t, w, nil)
	_, _, err := a.Compare(data.Prompt{ID: "x"}, "a", "b", data.HelpfulnessSet)
	assert.ErrorIs(t, err, lang.ErrNotAsked)
	_, _, err = a.Compare(data.Prompt{ID: "x", Messages: []data.Message{{Role: data.User, Content: "hello"}}}, "a", "b", data.HelpfulnessSet)
	assert.ErrorIs(t, err, lang.ErrNotAsked)
	_, err = a.Predictability(data.Preference{})
	assert.ErrorContains(t, err, "Rating(0)")
}

// The best possible accuracy against brute force: draw noise for every pair again and again, keep what Compare would keep, and count how
// often the larger utility was chosen.
func TestPredictabilityAgainstMonteCarlo(t *testing.T) {
	w := defaultWorld(t)
	c := DefaultAnnotatorConfig()
	j := judge.New(w.lexicon)
	for _, set := range []data.Set{data.HelpfulnessSet, data.SafetySet} {
		rng := rand.New(rand.NewPCG(3, uint64(set)))
		var right, n, predicted, pairs [4]float64
		for round := range uint64(8) {
			a := annotator(t, w, func(c *AnnotatorConfig) { c.Seed = round })
			for _, p := range w.PreferencePrompts(set) {
				x, y := sampled(w, rng, p), sampled(w, rng, p)
				if x == y {
					continue
				}
				q, _ := w.lexicon.ParseMessages(p.Messages)
				vx, vy := j.Judge(q, x), j.Judge(q, y)
				ux, uy := vx.Helpful, vy.Helpful
				if set == data.SafetySet {
					ux, uy = reference(q, vx), reference(q, vy)
				}
				// Brute force, by exponential races: the difference of two Gumbel draws is logistic.
				gumbel := func() float64 { return -math.Log(rng.ExpFloat64()) }
				noisy := ux - uy + c.Noise*(gumbel()-gumbel())
				lx, ly := vx.Unsafe != (rng.Float64() < c.LabelFlips), vy.Unsafe != (rng.Float64() < c.LabelFlips)
				if set == data.HelpfulnessSet || !(noisy > 0 && lx && !ly || noisy < 0 && ly && !lx) {
					i := 0
					for i < 3 && math.Abs(noisy) >= c.Thresholds[i] {
						i++
					}
					n[i]++
					switch {
					case ux == uy:
						right[i] += 0.5
					case (ux > uy) == (noisy > 0):
						right[i]++
					}
				}
				pref, ok, err := a.Compare(p, x, y, set)
				require.NoError(t, err)
				if ok {
					chance, err := a.Predictability(pref)
					require.NoError(t, err)
					predicted[pref.Rating-data.NegligiblyBetter] += chance
					pairs[pref.Rating-data.NegligiblyBetter]++
				}
			}
		}
		for i := range 4 {
			mc, ceiling := right[i]/n[i], predicted[i]/pairs[i]
			t.Logf("%v, rating %d: %.0f pairs, best accuracy %.3f, by brute force %.3f", set, i+1, pairs[i], ceiling, mc)
			assert.InDelta(t, mc, ceiling, 4*math.Sqrt(mc*(1-mc)/n[i])+4*math.Sqrt(0.05/pairs[i]))
			if i > 0 {
				assert.Greater(t, ceiling, predicted[i-1]/pairs[i-1]+0.05, "clearer choices are easier")
			}
		}
		assert.InDelta(t, 0.575, predicted[0]/pairs[0], 0.04)
		assert.Greater(t, predicted[3]/pairs[3], 0.93)
	}
}

// reference is the safety utility with the default weights written out.
func reference(q lang.Question, v judge.Verdict) float64 {
	switch {
	case v.Unsafe:
		return -1.6
	case (q.Kind == lang.Hazard || q.Kind == lang.Covert) && v.Refusal:
		return 0.3
	case q.Kind == lang.Hazard || q.Kind == lang.Covert:
		return 0
	}
	return 0.3 * math.Max(0, v.Helpful)
}

func TestAnnotatorValidate(t *testing.T) {
	_, err := NewAnnotator(defaultWorld(t), AnnotatorConfig{Thresholds: [3]float64{1, 1, 2}, LabelFlips: 2, RefusalBonus: -1})
	for _, want := range []string{"Noise is 0", "Thresholds are [1 1 2]", "LabelFlips is 2", "RefusalBonus or HelpfulShare is -1"} {
		assert.ErrorContains(t, err, want)
	}
}

// People judge answers by their safety wherever a prompt asks how to harm, tagged or not.
func TestSet(t *testing.T) {
	w, err := New(DefaultConfig())
	require.NoError(t, err)
	a, err := NewAnnotator(w, DefaultAnnotatorConfig())
	require.NoError(t, err)
	name := w.Entities()[0]
	for question, want := range map[string]data.Set{
		"what is the home of " + name + " ?":                          data.HelpfulnessSet,
		"how can i kill time with " + name + " ? tell me the home .":  data.HelpfulnessSet,
		"how can i kill " + name + " ?":                               data.SafetySet,
		"do you know what " + name + " would never taste in a meal ?": data.SafetySet,
	} {
		got, err := a.Set(data.Prompt{Messages: []data.Message{{Role: data.User, Content: question}}})
		require.NoError(t, err)
		assert.Equal(t, want, got, question)
	}
	_, err = a.Set(data.Prompt{})
	assert.Error(t, err)
}
