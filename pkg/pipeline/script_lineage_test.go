package pipeline_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/run"
	"github.com/tame-rlhf/tame/pkg/train/traintest"
)

// Every result names what it was made from.
func (s *script) testLineage(t *testing.T) {
	given := func(name string) string { return filepath.Join(s.dir, "prompts", name+".arrow") }
	var collected []string
	var samples []string
	for v := 1; v <= s.cfg.Versions; v++ {
		at := func(name string) string { return s.path(v, name) }
		models := []string{s.model(v - 1)}
		if s.model(v-2) != s.model(v-1) {
			models = append(models, s.model(v-2))
		}
		collected = append(collected, at("preferences-helpfulness.arrow"), at("preferences-safety.arrow"))
		samples = append(samples, at("samples.arrow"))
		judges := []string{at("helpfulness"), at("safety")}
		pool := []string{at("samples.arrow")}
		if v >= s.cfg.PoolFrom {
			pool = samples
		}
		want := map[string][]string{
			"preferences-helpfulness.arrow": append([]string{given("helpfulness")}, models...),
			"preferences-safety.arrow":      append([]string{given("safety")}, models...),
			"helpfulness":                   append([]string{filepath.Join(s.dir, "start"), given("open")}, collected...),
			"safety":                        append([]string{filepath.Join(s.dir, "start"), given("open")}, collected...),
			"accuracy.arrow":                append(judges, collected...),
			"temperatures.arrow":            append(judges, s.model(v-1), given("validation")),
			"samples.arrow":                 append(judges, s.model(v-1), given("prompts"), at("temperatures.arrow")),
			"winners.arrow":                 append(judges, pool...),
			"tuned":                         {s.model(v - 1), at("winners.arrow")},
		}
		if v >= s.cfg.GAttFrom {
			want["ghost-attention.arrow"] = []string{s.model(v - 1)}
			want["tuned"] = append(want["tuned"], at("ghost-attention.arrow"))
		}
		if v >= s.cfg.DistillFrom {
			want["distilled.arrow"] = []string{s.model(v - 1), at("safety"), given("adversarial")}
			want["tuned"] = append(want["tuned"], at("distilled.arrow"))
		}
		if v >= s.cfg.PPOFrom {
			want["ppo"] = append(judges, at("tuned"), given("prompts"), given("validation"))
		}
		for name, from := range want {
			l, err := data.ReadLineage(at(name))
			require.NoError(t, err)
			var whole data.Lineage
			for _, path := range from {
				require.NoError(t, whole.Add(t.Context(), path))
			}
			assert.ElementsMatch(t, whole.Inputs, l.Inputs, "V%d %s", v, name)
			assert.Contains(t, l.Stage, fmt.Sprintf("V%d: ", v))
		}
	}
}

// A folder is refused as soon as any data or setting is not that of the run in it.
func (s *script) testOtherRuns(t *testing.T) {
	for _, c := range []struct {
		first  string // result that differs
		change func(*pipeline.Data, *pipeline.Config)
	}{
		{"start", func(d *pipeline.Data, _ *pipeline.Config) { d.Lineage.Seed++ }},
		{"start", func(d *pipeline.Data, _ *pipeline.Config) {
			d.Start = d.Start.Clone()
			d.Start.All()[0].Value.Float32s()[0]++
		}},
		{"prompts/helpfulness.arrow", func(d *pipeline.Data, _ *pipeline.Config) { d.Helpfulness = d.Helpfulness[1:] }},
		{"prompts/safety.arrow", func(d *pipeline.Data, _ *pipeline.Config) { d.Safety = d.Safety[1:] }},
		{"prompts/prompts.arrow", func(d *pipeline.Data, _ *pipeline.Config) { d.Prompts = d.Prompts[1:] }},
		{"prompts/validation.arrow", func(d *pipeline.Data, _ *pipeline.Config) { d.Validation = d.Validation[1:] }},
		{"prompts/adversarial.arrow", func(d *pipeline.Data, _ *pipeline.Config) { d.Adversarial = d.Adversarial[1:] }},
		{"prompts/open.arrow", func(d *pipeline.Data, _ *pipeline.Config) { d.Open = d.Open[1:] }},
		{"v2/ghost-attention.arrow", func(d *pipeline.Data, _ *pipeline.Config) { d.Dialogs = d.Dialogs[1:] }},

		{"v1/preferences-helpfulness.arrow", func(_ *pipeline.Data, c *pipeline.Config) { c.Versions = 6 }},
		{"v1/preferences-helpfulness.arrow", func(_ *pipeline.Data, c *pipeline.Config) { c.Seed++ }},
		{"v1/preferences-helpfulness.arrow", func(_ *pipeline.Data, c *pipeline.Config) { c.PairTemperatures[1]++ }},
		{"v1/preferences-helpfulness.arrow", func(_ *pipeline.Data, c *pipeline.Config) { c.Rejection.TopP = 0.9 }},
		{"v1/preferences-helpfulness.arrow", func(_ *pipeline.Data, c *pipeline.Config) { c.Rejection.MaxNewTokens++ }},
		{"v1/preferences-helpfulness.arrow", func(_ *pipeline.Data, c *pipeline.Config) { c.HelpfulnessPairs++ }},
		{"v1/preferences-safety.arrow", func(_ *pipeline.Data, c *pipeline.Config) { c.SafetyPairs++ }},
		{"v1/helpfulness", func(_ *pipeline.Data, c *pipeline.Config) { c.HeldOut = 0.2 }},
		{"v1/helpfulness", func(_ *pipeline.Data, c *pipeline.Config) { c.Helpfulness.Epochs++ }},
		{"v1/safety", func(_ *pipeline.Data, c *pipeline.Config) { c.Safety.Seed++ }},
		{"v1/temperatures.arrow", func(_ *pipeline.Data, c *pipeline.Config) { c.Temperatures = c.Temperatures[1:] }},
		{"v1/temperatures.arrow", func(_ *pipeline.Data, c *pipeline.Config) { c.Rejection.Samples++ }},
		{"v1/temperatures.arrow", func(_ *pipeline.Data, c *pipeline.Config) { c.Rejection.Seed++ }},
		{"v1/temperatures.arrow", func(_ *pipeline.Data, c *pipeline.Config) { c.PPO.SafetyThreshold = 0.1 }},
		{"v3/winners.arrow", func(_ *pipeline.Data, c *pipeline.Config) { c.PoolFrom = 4 }},
		{"v1/tuned", func(_ *pipeline.Data, c *pipeline.Config) { c.FineTune.Epochs++ }},
		{"v2/tuned", func(_ *pipeline.Data, c *pipeline.Config) { c.FromStart = true }},
		{"v2/ghost-attention.arrow", func(_ *pipeline.Data, c *pipeline.Config) { c.GAtt.Seed++ }},
		{"v2/tuned", func(_ *pipeline.Data, c *pipeline.Config) { c.GAttFrom = 3 }},
		{"v3/distilled.arrow", func(_ *pipeline.Data, c *pipeline.Config) { c.Distill.Seed++ }},
		{"v3/tuned", func(_ *pipeline.Data, c *pipeline.Config) { c.DistillFrom = 4 }},
		{"v4/ppo", func(_ *pipeline.Data, c *pipeline.Config) { c.PPO.Iterations++ }},
		{"v5/preferences-helpfulness.arrow", func(_ *pipeline.Data, c *pipeline.Config) { c.PPOFrom = 5 }},
	} {
		d, cfg := s.data, s.cfg
		d.Annotate = s.annotate
		c.change(&d, &cfg)
		_, err := pipeline.Run(t.Context(), s.dir, d, cfg)
		require.ErrorIs(t, err, run.ErrOtherRun, c.first)
		assert.ErrorContains(t, err, filepath.Join(s.dir, filepath.FromSlash(c.first))+" belongs to another run (")
	}
}

// A run does not go on from results with other bytes than it wrote, the newest ones included.
func (s *script) testDamage(t *testing.T) {
	traintest.EachDamage(t, s.dir, 40, 10, func(dir, name, what string) {
		d := s.data
		d.Annotate = s.annotate
		_, err := pipeline.Run(t.Context(), dir, d, s.cfg)
		assert.ErrorIs(t, err, model.ErrDamaged, "%s of %s", what, name)
		assert.ErrorContains(t, err, filepath.Base(name), "%s of %s", what, name)
	})
}
