package pipeline_test

import (
	"crypto/sha256"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/generate"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
)

var sets = []data.Set{data.HelpfulnessSet, data.SafetySet}

// of are the comparisons of a version and set.
func (s *script) of(v int, set data.Set) []comparison {
	return slices.DeleteFunc(slices.Clone(s.comparisons), func(c comparison) bool { return c.version != v || c.Set != set })
}

func (s *script) asked(set data.Set) (prompts []data.Prompt, pairs int) {
	if set == data.SafetySet {
		return s.data.Safety, s.cfg.SafetyPairs
	}
	return s.data.Helpfulness, s.cfg.HelpfulnessPairs
}

func (s *script) preferences(t *testing.T, v int, set data.Set) []pipeline.SampledPreference {
	return rowsOf[pipeline.SampledPreference](t, s.path(v, fmt.Sprintf("preferences-%v.arrow", set)))
}

// Every prompt is asked about in one version, and versions have shares of about the same size.
func (s *script) testShares(t *testing.T) {
	for _, set := range sets {
		prompts, _ := s.asked(set)
		version := map[string]int{}
		var sizes []int
		for v := 1; v <= s.cfg.Versions; v++ {
			before := len(version)
			for _, c := range s.of(v, set) {
				if first, known := version[c.Prompt.ID]; known {
					assert.Equal(t, first, v, "%v prompt %s is asked about in two versions", set, c.Prompt.ID)
				}
				version[c.Prompt.ID] = v
			}
			sizes = append(sizes, len(version)-before)
		}
		var ids []string
		for _, p := range prompts {
			ids = append(ids, p.ID)
			assert.NotZero(t, version[p.ID], "%v prompt %s is never asked about", set, p.ID)
		}
		assert.Len(t, version, len(ids), "no others are asked about")
		assert.LessOrEqual(t, slices.Max(sizes)-slices.Min(sizes), 1)
	}
}

// side are the answers of one of the two variants: a model and a temperature, with its own stream
// of random numbers.
type side struct {
	path        string
	temperature float64
	seed        uint64
}

// sides are those of a version: the newest model, and the one before it.
func (s *script) sides(v int) [2]side {
	return [2]side{
		{s.model(v - 1), s.cfg.PairTemperatures[0], s.cfg.Seed + 2},
		{s.model(v - 2), s.cfg.PairTemperatures[1], s.cfg.Seed + 3},
	}
}

// answers are what a variant says, by the prompt's ID.
func (s *script) answers(t *testing.T, from side, prompts []data.Prompt, n int) map[string][]generate.Sample {
	t.Helper()
	var requests []generate.Request
	for _, p := range prompts {
		ids, err := s.data.Template.EncodePrompt(p.Messages)
		require.NoError(t, err)
		requests = append(requests, generate.Request{Prompt: ids, ID: data.StreamKey(p.ID), Samples: n})
	}
	sampled, err := generate.Generate(t.Context(), load(t, from.path), requests, generate.Sampling{
		MaxNewTokens: 20, Temperature: from.temperature, TopP: 1, Stop: []int32{2}, Seed: from.seed, Slots: 8,
	})
	require.NoError(t, err)
	all := map[string][]generate.Sample{}
	for i, p := range prompts {
		all[p.ID] = sampled[i]
	}
	return all
}

func (s *script) text(t *testing.T, ids []int32) string {
	t.Helper()
	text, err := s.data.Tokenizer.Decode(ids)
	require.NoError(t, err)
	return text
}

// pairing is a pair that annotators have to be asked about.
type pairing struct {
	prompt        data.Prompt
	sample        int
	first, second []int32 // of the newest model and of the one before it
}

// pairings are those of a version and set, prompt by prompt, without pairs of the same text.
func (s *script) pairings(t *testing.T, v int, set data.Set) (list []pairing) {
	prompts, n := s.asked(set)
	var own []data.Prompt
	for _, p := range prompts {
		if slices.ContainsFunc(s.of(v, set), func(c comparison) bool { return c.Prompt.ID == p.ID }) {
			own = append(own, p)
		}
	}
	sides := s.sides(v)
	newest, older := s.answers(t, sides[0], own, n), s.answers(t, sides[1], own, n)
	for _, p := range own {
		for k := range n {
			a, b := newest[p.ID][k].Tokens, older[p.ID][k].Tokens
			if s.text(t, a) != s.text(t, b) {
				list = append(list, pairing{p, k, a, b})
			}
		}
	}
	return list
}

// The two answers of a comparison are those of two models at two temperatures.
func (s *script) testComparisons(t *testing.T) {
	for v := 1; v <= s.cfg.Versions; v++ {
		for _, set := range sets {
			want, got := s.pairings(t, v, set), s.of(v, set)
			require.Len(t, got, len(want))
			for i, w := range want {
				assert.Equal(t, w.prompt, got[i].Prompt)
				assert.ElementsMatch(t, []string{s.text(t, w.first), s.text(t, w.second)}, []string{got[i].First, got[i].Second}, "V%d", v)
			}
		}
	}
}

// Which of the two is shown first is a fair hash of the seed, the version, the number of the pair
// and the prompt.
func (s *script) testOrder(t *testing.T) {
	n, newestFirst := 0.0, 0.0
	for v := 1; v <= s.cfg.Versions; v++ {
		for _, set := range sets {
			asked := s.of(v, set)
			for i, w := range s.pairings(t, v, set) {
				h := sha256.Sum256(fmt.Appendf(nil, "%d %d %d %s", s.cfg.Seed, v, w.sample, w.prompt.ID))
				first := w.first
				if h[0]%2 == 1 {
					first = w.second
				}
				assert.Equal(t, s.text(t, first), asked[i].First, "V%d %s %d", v, w.prompt.ID, w.sample)
				n++
				if asked[i].First == s.text(t, w.first) {
					newestFirst++
				}
			}
		}
	}
	assert.Greater(t, n, 50.0)
	assert.InDelta(t, n/2, newestFirst, 3*math.Sqrt(n/4), "neither model is always first")
}

// The rows are what annotators said, with the ids of the two answers.
func (s *script) testPreferences(t *testing.T) {
	left := 0
	for v := 1; v <= s.cfg.Versions; v++ {
		for i, set := range sets {
			var want []pipeline.SampledPreference
			for _, w := range s.pairings(t, v, set) {
				said := opinion(w.prompt, s.text(t, w.first), s.text(t, w.second))
				if said == nil {
					left++
					continue
				}
				chosen, rejected := w.first, w.second
				if said.Chosen == s.text(t, w.second) {
					chosen, rejected = w.second, w.first
				}
				prompt, err := s.data.Template.EncodePrompt(w.prompt.Messages)
				require.NoError(t, err)
				want = append(want, pipeline.SampledPreference{
					Messages: w.prompt.Messages, Chosen: said.Chosen, Rejected: said.Rejected, Rating: said.Rating,
					ChosenSafe: said.ChosenSafe, RejectedSafe: said.RejectedSafe, Set: set,
					PromptIDs: prompt, ChosenIDs: chosen, RejectedIDs: rejected, Version: v,
				})
			}
			assert.Equal(t, want, s.preferences(t, v, set))
			assert.Equal(t, len(want), s.versions[v-1].Preferences[i])
		}
	}
	assert.Positive(t, left, "some have no opinion")
}

// collected are the pairs of a set up to a version that reward models may be trained on, and those
// that are held out.
func (s *script) collected(t *testing.T, v int, set data.Set) (train []data.Pair, heldOut []pipeline.SampledPreference) {
	for k := 1; k <= v; k++ {
		for _, p := range s.preferences(t, k, set) {
			if s.heldOut(p.Messages[0].Content) {
				heldOut = append(heldOut, p)
				continue
			}
			train = append(train, data.Pair{
				Prompt: p.PromptIDs, Chosen: p.ChosenIDs, Rejected: p.RejectedIDs,
				Rating: p.Rating, ChosenSafe: p.ChosenSafe, RejectedSafe: p.RejectedSafe, Set: p.Set,
			})
		}
	}
	return train, heldOut
}

// No reward model is trained on a pair that asks a held-out question, whoever collected it, nor on
// one whose choice alone is unsafe.
func (s *script) testHeldOut(t *testing.T) {
	held := map[string]bool{}
	var questions []data.Prompt
	for _, p := range s.data.Open {
		questions = append(questions, data.Prompt{Messages: p.Messages})
	}
	for _, p := range slices.Concat(s.data.Helpfulness, s.data.Safety, questions) {
		if s.heldOut(p.Messages[0].Content) {
			ids, err := s.data.Template.EncodePrompt(p.Messages)
			require.NoError(t, err)
			held[fmt.Sprint(ids)] = true
		}
	}
	require.Greater(t, len(held), 10)
	for _, call := range s.rewardModels {
		for _, p := range call.pairs {
			assert.False(t, held[fmt.Sprint(p.Prompt)], "a held-out question")
			assert.False(t, p.ChosenSafe == data.Unsafe && p.RejectedSafe == data.Safe, "an unsafe choice")
		}
	}
	for _, set := range sets {
		_, heldOut := s.collected(t, s.cfg.Versions, set)
		assert.NotEmpty(t, heldOut)
	}
}

// Both are trained from the SFT model, each on its mix of all preferences so far, with its own
// config.
func (s *script) testRewardModels(t *testing.T) {
	public, err := rewardmodel.Encode(s.data.Template, slices.DeleteFunc(slices.Clone(s.data.Open), func(p data.Preference) bool {
		return s.heldOut(p.Messages[0].Content)
	}))
	require.NoError(t, err)
	for v := 1; v <= s.cfg.Versions; v++ {
		helpfulness, _ := s.collected(t, v, data.HelpfulnessSet)
		safety, _ := s.collected(t, v, data.SafetySet)
		forHelpfulness, forSafety := rewardmodel.Mixes(helpfulness, safety, public, s.cfg.Seed)
		for i, want := range []struct {
			name  string
			pairs []data.Pair
			cfg   rewardmodel.Config
		}{{"helpfulness", forHelpfulness, s.cfg.Helpfulness}, {"safety", forSafety, s.cfg.Safety}} {
			got := s.rewardModels[2*(v-1)+i]
			assert.Equal(t, want.pairs, got.pairs, "V%d %s", v, want.name)
			assert.Equal(t, weights(s.data.Start, true), weights(got.start, true), "V%d %s starts from SFT", v, want.name)
			assert.Equal(t, weights(s.rewardModels[0].start, false), weights(got.start, false), "one head for all")
			assert.Equal(t, s.cfg.KeepEvery, got.cfg.Checkpointing.Every)
			assert.NotNil(t, got.cfg.OnStep)
			got.cfg.Checkpointing, got.cfg.OnStep, got.cfg.OnPlan = want.cfg.Checkpointing, nil, nil
			assert.Equal(t, want.cfg, got.cfg, "V%d %s", v, want.name)
			assert.NotEqual(t, weights(got.start, true), weights(got.trained, true), "V%d %s is trained", v, want.name)
			assert.Equal(t, weights(got.trained, false), weights(load(t, s.path(v, want.name)), false), "V%d %s is kept", v, want.name)
		}
	}
	head := s.rewardModels[0].start.Get("score.weight").Value.Float32s()
	assert.NotEqual(t, make([]float32, len(head)), head, "the head is drawn")
}

// Accuracies are measured on the held-out pairs, batch by batch and rating by rating.
func (s *script) testAccuracies(t *testing.T) {
	for v := 1; v <= s.cfg.Versions; v++ {
		type cell struct {
			model  string
			set    data.Set
			batch  int
			rating data.Rating
		}
		hits, count := map[cell]float64{}, map[cell]int{}
		for _, name := range []string{"helpfulness", "safety"} {
			scorer, err := rewardmodel.NewScorer(load(t, s.path(v, name)), 512, 8)
			require.NoError(t, err)
			for _, set := range sets {
				_, heldOut := s.collected(t, v, set)
				for _, p := range heldOut {
					scores, err := scorer.ScoreAnswers(t.Context(), data.AnswersOf([]data.Pair{p.Pair()}))
					require.NoError(t, err)
					c := cell{name, set, p.Version, p.Rating}
					count[c]++
					switch {
					case scores[0] > scores[1]:
						hits[c]++
					case scores[0] == scores[1]:
						hits[c] += 0.5
					}
				}
			}
		}
		rows := rowsOf[pipeline.Accuracy](t, s.path(v, "accuracy.arrow"))
		assert.Len(t, rows, len(count))
		for _, row := range rows {
			c := cell{row.Model, row.Set, row.Batch, row.Rating}
			assert.Equal(t, count[c], row.N, "V%d %+v", v, c)
			assert.Equal(t, hits[c], row.Hits, "V%d %+v", v, c)
		}
		assert.Equal(t, rows, s.versions[v-1].Accuracies)
	}
}

// The judges of a version are its reward models, with the threshold of the config.
func (s *script) testJudges(t *testing.T) {
	for v := 1; v <= s.cfg.Versions; v++ {
		call := s.judges[v-1]
		assert.Equal(t, weights(load(t, s.path(v, "helpfulness")), false), weights(call.helpfulness, false))
		assert.Equal(t, weights(load(t, s.path(v, "safety")), false), weights(call.safety, false))
		assert.Equal(t, 0.3, call.cfg.SafetyThreshold)
		assert.Equal(t, s.versions[v-1].Helpfulness, s.path(v, "helpfulness"))
		assert.Equal(t, s.versions[v-1].Safety, filepath.Join(s.dir, fmt.Sprintf("v%d", v), "safety"))
	}
}
