package pipeline_test

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/distill"
	"github.com/tame-rlhf/tame/pkg/gatt"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/ppo"
	"github.com/tame-rlhf/tame/pkg/rejection"
	"github.com/tame-rlhf/tame/pkg/sft"
)

// The temperature is the best on the validation prompts, for the newest model and the newest
// judges.
func (s *script) testTemperatures(t *testing.T) {
	var prompts []data.TokenPrompt
	for _, p := range s.data.Validation {
		ids, err := s.data.Template.EncodePrompt(p.Messages)
		require.NoError(t, err)
		prompts = append(prompts, data.TokenPrompt{ID: p.ID, Tokens: ids, Safety: p.Safety})
	}
	chosen := map[float64]bool{}
	for v := 1; v <= s.cfg.Versions; v++ {
		reward := data.EachAnswer(func(a data.Answer) float64 { return s.combined(v, a.Prompt.Tokens, a.Tokens, a.Prompt.Safety) })
		best, points, err := rejection.Tune(t.Context(), load(t, s.model(v-1)), prompts, reward, s.cfg.Rejection, s.cfg.Temperatures)
		require.NoError(t, err)
		var want []pipeline.Tuning
		for _, p := range points {
			want = append(want, pipeline.Tuning{
				Temperature: p.Temperature, Max: p.Max, Median: p.Median, Finished: p.Finished, Winners: p.Winners, Chosen: p.Temperature == best,
			})
		}
		assert.Equal(t, want, rowsOf[pipeline.Tuning](t, s.path(v, "temperatures.arrow")))
		assert.Equal(t, want, s.versions[v-1].Temperatures)
		assert.Equal(t, best, s.versions[v-1].Temperature)
		chosen[best] = true
	}
	assert.Greater(t, len(chosen), 1, "versions differ in their temperature")
}

// The samples of a version are those of the model before it at the chosen temperature, judged by
// the newest judges.
func (s *script) testSamples(t *testing.T) {
	for v := 1; v <= s.cfg.Versions; v++ {
		temperature := s.versions[v-1].Temperature
		want := s.answers(t, side{s.model(v - 1), temperature, s.cfg.Rejection.Seed}, s.data.Prompts, s.cfg.Rejection.Samples)
		rows := rowsOf[data.Sample](t, s.path(v, "samples.arrow"))
		require.Len(t, rows, len(s.data.Prompts)*s.cfg.Rejection.Samples)
		unsafe := 0
		for i, row := range rows {
			p := s.data.Prompts[i/s.cfg.Rejection.Samples]
			sample := want[p.ID][i%s.cfg.Rejection.Samples]
			ids, err := s.data.Template.EncodePrompt(p.Messages)
			require.NoError(t, err)
			reward := s.combined(v, ids, sample.Tokens, p.Safety)
			assert.Equal(t, data.Sample{
				PromptID: p.ID, Messages: p.Messages, Prompt: ids, Tokens: sample.Tokens, LogProbs: sample.LogProbs, Text: s.text(t, sample.Tokens),
				Finished: sample.Finished, Combined: &reward, Version: v, Temperature: temperature,
			}, row)
			if !p.Safety && reward == safetyRule(v)(ids, sample.Tokens) {
				unsafe++
			}
		}
		assert.Positive(t, unsafe, "the gate takes answers to prompts without the safety tag")
	}
}

// best is the finished answer to a prompt with the highest reward of a version's judges, and that
// reward: of several the newest, then the first.
func (s *script) best(v int, prompt data.Prompt, pool []data.Sample) (best data.Sample, reward float64) {
	reward = math.Inf(-1)
	for _, row := range pool {
		if row.PromptID != prompt.ID || !row.Finished || pipeline.EmptySample(row) {
			continue
		}
		if r := s.combined(v, row.Prompt, row.Tokens, prompt.Safety); r > reward || r == reward && row.Version > best.Version {
			best, reward = row, r
		}
	}
	return best, reward
}

// Winners are the best answers of the version, from PoolFrom on of all versions so far, by the
// newest judges.
func (s *script) testWinners(t *testing.T) {
	old, cutOff := 0, 0
	var all []data.Sample
	for v := 1; v <= s.cfg.Versions; v++ {
		own := rowsOf[data.Sample](t, s.path(v, "samples.arrow"))
		all = append(all, own...)
		pool := own
		if v >= s.cfg.PoolFrom {
			pool = all
		}
		winners := rowsOf[data.Sample](t, s.path(v, "winners.arrow"))
		for _, p := range s.data.Prompts {
			best, reward := s.best(v, p, pool)
			i := slices.IndexFunc(winners, func(w data.Sample) bool { return w.PromptID == p.ID })
			if math.IsInf(reward, -1) {
				assert.Equal(t, -1, i, "a prompt without a finished answer")
				continue
			}
			require.GreaterOrEqual(t, i, 0, "V%d %s has no winner", v, p.ID)
			best.Combined = &reward
			assert.Equal(t, best, winners[i], "V%d %s", v, p.ID)
			winners = slices.Delete(winners, i, i+1)
			if best.Version < v {
				old++
			}
			for _, row := range pool {
				if row.PromptID == p.ID && !row.Finished && s.combined(v, row.Prompt, row.Tokens, p.Safety) > reward {
					cutOff++
				}
			}
		}
		assert.Empty(t, winners, "one winner per prompt")
	}
	assert.Positive(t, old, "answers of older versions win")
	assert.Positive(t, cutOff, "answers that were cut off would have won")
}

// Examples of Ghost Attention are what the newest model says, from GAttFrom on.
func (s *script) testGhosts(t *testing.T) {
	for v := 1; v <= s.cfg.Versions; v++ {
		name := s.path(v, "ghost-attention.arrow")
		if v < s.cfg.GAttFrom {
			assert.NoFileExists(t, name)
			assert.Zero(t, s.versions[v-1].Ghosts)
			continue
		}
		talks, err := gatt.SampleDialogues(t.Context(), load(t, s.model(v-1)), s.data.Template, s.data.Tokenizer, s.data.Dialogs, s.cfg.GAtt)
		require.NoError(t, err)
		want, err := gatt.Examples(s.data.Template, talks, s.cfg.GAtt)
		require.NoError(t, err)
		texts := gatt.Conversations(talks, "ghost attention", s.cfg.GAtt)
		rows := rowsOf[pipeline.Example](t, name)
		require.NotEmpty(t, rows)
		require.Len(t, rows, len(want))
		require.Len(t, texts, len(want), "one example of each dialogue")
		for i, row := range rows {
			assert.Equal(t, want[i].Tokens, row.Tokens)
			assert.Equal(t, want[i].Counted(), row.Counted)
			assert.Equal(t, texts[i], data.Conversation{Messages: row.Messages, Source: row.Source})
		}
		assert.Equal(t, len(want), s.versions[v-1].Ghosts)
	}
}

// Distilled examples are the answers with a pre-prompt that the newest safety model likes better
// than those without, from DistillFrom on.
func (s *script) testDistilled(t *testing.T) {
	for v := 1; v <= s.cfg.Versions; v++ {
		name := s.path(v, "distilled.arrow")
		if v < s.cfg.DistillFrom {
			assert.NoFileExists(t, name)
			assert.Zero(t, s.versions[v-1].Distilled)
			continue
		}
		unfiltered := s.cfg.Distill
		unfiltered.Filter = false
		none := data.EachAnswer(func(data.Answer) float64 { return 0 })
		all, err := distill.Distill(t.Context(), load(t, s.model(v-1)), s.data.Template, s.data.Adversarial, s.data.PrePrompts, none, unfiltered)
		require.NoError(t, err)
		rows, left := rowsOf[pipeline.Example](t, name), 0
		for _, c := range all.Candidates {
			rule := safetyRule(v)
			if !c.Kept || rule(c.Original.Prompt.Tokens, c.Distilled.Tokens) <= rule(c.Original.Prompt.Tokens, c.Original.Tokens) {
				left++
				continue
			}
			require.NotEmpty(t, rows, "V%d", v)
			joined := data.Join(c.Original.Prompt.Tokens, c.Distilled.Tokens)
			answer := data.Message{Role: data.Assistant, Content: s.text(t, c.Distilled.Tokens)}
			assert.Equal(t, pipeline.Example{
				Messages: append(slices.Clone(c.Prompt.Messages), answer), Source: "safety context distillation",
				Tokens: joined.Tokens, Counted: joined.Counted(),
			}, rows[0], "V%d", v)
			rows = rows[1:]
		}
		assert.Empty(t, rows)
		assert.Positive(t, left, "some are filtered out")
		assert.Equal(t, len(all.Candidates)-left, s.versions[v-1].Distilled)
		assert.Positive(t, s.versions[v-1].Distilled)
	}
}

// Fine-tuning starts from the version before, on the winners and on what Ghost Attention and
// distillation add.
func (s *script) testFineTuning(t *testing.T) {
	for v := 1; v <= s.cfg.Versions; v++ {
		var want []data.Example
		for _, w := range rowsOf[data.Sample](t, s.path(v, "winners.arrow")) {
			counted := append(make([]bool, len(w.Prompt)), slices.Repeat([]bool{true}, len(w.Tokens))...)
			want = append(want, data.NewExample(slices.Concat(w.Prompt, w.Tokens), counted))
		}
		for _, further := range []struct {
			name string
			from int
		}{{"ghost-attention.arrow", s.cfg.GAttFrom}, {"distilled.arrow", s.cfg.DistillFrom}} {
			if v < further.from {
				continue
			}
			for _, e := range rowsOf[pipeline.Example](t, s.path(v, further.name)) {
				want = append(want, data.NewExample(e.Tokens, e.Counted))
			}
		}
		got := s.fineTunings[v-1]
		assert.Equal(t, want, got.examples, "V%d", v)
		assert.Equal(t, weights(load(t, s.model(v-1)), false), weights(got.start, false), "V%d starts from the version before", v)
		assert.NotEqual(t, weights(got.start, false), weights(got.trained, false), "V%d is trained", v)
		assert.Equal(t, weights(got.trained, false), weights(load(t, s.path(v, "tuned")), false), "V%d is kept", v)
		assert.Equal(t, s.cfg.KeepEvery, got.cfg.Checkpointing.Every)
		assert.NotNil(t, got.cfg.OnStep)
		got.cfg.Checkpointing, got.cfg.OnStep, got.cfg.OnPlan = s.cfg.FineTune.Checkpointing, nil, nil
		assert.Equal(t, s.cfg.FineTune, got.cfg)
	}
}

// PPO starts from the fine-tuned model, with the helpfulness model as critic, on the prompts,
// watched on the validation prompts.
func (s *script) testPPO(t *testing.T) {
	encoded := func(prompts []data.Prompt) (list []data.TokenPrompt) {
		for _, p := range prompts {
			ids, err := s.data.Template.EncodePrompt(p.Messages)
			require.NoError(t, err)
			list = append(list, data.TokenPrompt{ID: p.ID, Tokens: ids, Safety: p.Safety})
		}
		return list
	}
	for v := 1; v < s.cfg.PPOFrom; v++ {
		assert.NoDirExists(t, s.path(v, "ppo"))
	}
	for v := s.cfg.PPOFrom; v <= s.cfg.Versions; v++ {
		got := s.ppos[v-s.cfg.PPOFrom]
		assert.Equal(t, weights(load(t, s.path(v, "tuned")), false), weights(got.policy, false))
		assert.Equal(t, weights(load(t, s.path(v, "helpfulness")), false), weights(got.critic, false))
		assert.Equal(t, weights(got.trained, false), weights(load(t, s.path(v, "ppo")), false))
		assert.Equal(t, encoded(s.data.Prompts), got.prompts)
		assert.Equal(t, encoded(s.data.Validation), got.heldOut)
		assert.Equal(t, 1, got.cfg.Checkpointing.Every)
		assert.NotNil(t, got.cfg.OnStep)
		got.cfg.Checkpointing, got.cfg.OnStep, got.cfg.OnPlan = s.cfg.PPO.Checkpointing, nil, nil
		assert.Equal(t, s.cfg.PPO, got.cfg)

		answer := data.Answer{Prompt: got.prompts[0], Tokens: []int32{7, 2}}
		scores, err := got.rewarder.Score(t.Context(), []data.Answer{answer})
		require.NoError(t, err)
		assert.Equal(t, []ppo.Score{{
			Helpfulness: helpfulnessRule(v)(answer.Prompt.Tokens, answer.Tokens), Safety: safetyRule(v)(answer.Prompt.Tokens, answer.Tokens),
		}}, scores, "the newest judges")
	}
}

// A version names its models.
func (s *script) testVersions(t *testing.T) {
	for i, got := range s.versions {
		v := i + 1
		assert.Equal(t, v, got.Number)
		assert.Equal(t, s.path(v, "tuned"), got.Tuned)
		assert.Equal(t, s.model(v), got.Model)
	}
}

// TestFromStart is a run of two versions that are fine-tuned from the start model.
func TestFromStart(t *testing.T) {
	d, cfg := smallRun(t)
	cfg.FromStart, cfg.PPOFrom = true, 3
	var starts []*model.Params
	spy := pipeline.Spy{FineTune: func(p *model.Params, _ []data.Example, _ sft.Config) { starts = append(starts, p.Clone()) }}
	dir := t.TempDir()
	versions, err := spy.Run(t.Context(), dir, d, cfg)
	require.NoError(t, err)
	require.Len(t, starts, 2)
	for _, start := range starts {
		assert.Equal(t, weights(d.Start, false), weights(start, false))
	}
	l, err := data.ReadLineage(versions[1].Tuned)
	require.NoError(t, err)
	assert.Equal(t, "start", l.Inputs[0].Name)
}
