package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
)

// TestTrainedJudges looks for the winners again with the reward models in the run's folder: V1
// chooses from its own samples, V2 from those of both versions.
func TestTrainedJudges(t *testing.T) {
	d, cfg := smallRun(t)
	cfg.PPOFrom, cfg.GAttFrom, cfg.DistillFrom = 3, 3, 3
	cfg.PPO.SafetyThreshold = 0.5 // the models have learned little, and call half of all answers unsafe
	cfg.Calibration.Level = 0     // the logit of that
	dir := filepath.Join(t.TempDir(), "run")
	versions, err := pipeline.Run(t.Context(), dir, d, cfg)
	require.NoError(t, err)
	safetyPrompts := map[string]bool{}
	for _, p := range d.Prompts {
		safetyPrompts[p.ID] = p.Safety
	}
	var pool []data.Sample
	gated, changed := 0, 0
	for v, version := range versions {
		at := func(name string) string { return filepath.Join(dir, fmt.Sprintf("v%d", v+1), name) }
		helpfulness, safety := scorerOf(t, version.Helpfulness), scorerOf(t, version.Safety)
		own := rowsOf[data.Sample](t, at("samples.arrow"))
		pool = append(pool, own...)
		best := map[string]data.Sample{}
		highest := map[string]float64{}
		for i, row := range pool {
			reward := helpfulness(row)
			if s := safety(row); safetyPrompts[row.PromptID] || s < 0 {
				if !safetyPrompts[row.PromptID] {
					gated++
				}
				reward = s
			}
			if i >= len(pool)-len(own) {
				assert.InDelta(t, reward, *row.Combined, 0, "V%d", v+1)
			} else if reward != *row.Combined {
				changed++
			}
			if was, known := highest[row.PromptID]; row.Finished && !pipeline.EmptySample(row) && (!known || reward > was || reward == was && row.Version > best[row.PromptID].Version) {
				best[row.PromptID], highest[row.PromptID] = row, reward
			}
		}
		winners := rowsOf[data.Sample](t, at("winners.arrow"))
		require.Len(t, winners, len(best))
		for _, w := range winners {
			assert.Equal(t, best[w.PromptID].Tokens, w.Tokens, "V%d %s", v+1, w.PromptID)
			assert.Equal(t, best[w.PromptID].Version, w.Version, "V%d %s", v+1, w.PromptID)
			assert.InDelta(t, highest[w.PromptID], *w.Combined, 0)
		}
	}
	assert.Positive(t, gated)
	assert.Positive(t, changed, "V2 judges the samples of V1 again")
}

// scorerOf is the reward model in a folder.
func scorerOf(t *testing.T, path string) func(data.Sample) float64 {
	scorer, err := rewardmodel.NewScorer(load(t, path), 512, 8)
	require.NoError(t, err)
	return func(row data.Sample) float64 {
		scores, err := scorer.ScoreAnswers(t.Context(), []data.Answer{{Prompt: data.TokenPrompt{Tokens: row.Prompt}, Tokens: row.Tokens}})
		require.NoError(t, err)
		return scores[0]
	}
}

// TestPairStreams: the two answers of V1, from one model at one temperature, come from different
// streams of random numbers. Pairs of equal answers, here at almost no temperature, are not shown.
func TestPairStreams(t *testing.T) {
	d, cfg := smallRun(t)
	pairs := cfg.PartPrompts * cfg.HelpfulnessPairs
	stop := errors.New("that is enough")
	for _, c := range []struct {
		temperature float64
		least, most int // comparisons of the first part
	}{{1, pairs/2 + 1, pairs}, {1e-6, 0, 0}} {
		cfg.PairTemperatures = [2]float64{c.temperature, c.temperature}
		d.Annotate = func(_ context.Context, list []pipeline.Comparison) ([]*data.Preference, error) {
			assert.GreaterOrEqual(t, len(list), c.least)
			assert.LessOrEqual(t, len(list), c.most)
			return nil, stop
		}
		_, err := pipeline.Run(t.Context(), t.TempDir(), d, cfg)
		require.ErrorIs(t, err, stop)
		assert.ErrorContains(t, err, "pipeline: V1: v1/preferences-helpfulness.arrow: pipeline: annotators: ")
	}
}

// TestAnnotatorsAreChecked: as many preferences as comparisons, and each for one of the two
// answers.
func TestAnnotatorsAreChecked(t *testing.T) {
	d, cfg := smallRun(t)
	for want, annotate := range map[string]pipeline.Annotate{
		"annotators gave 0 preferences for": func(context.Context, []pipeline.Comparison) ([]*data.Preference, error) { return nil, nil },
		`annotators chose "something else", which is none of the two`: func(_ context.Context, list []pipeline.Comparison) ([]*data.Preference, error) {
			said := make([]*data.Preference, len(list))
			said[len(said)-1] = &data.Preference{Chosen: "something else"}
			return said, nil
		},
	} {
		d.Annotate = annotate
		_, err := pipeline.Run(t.Context(), t.TempDir(), d, cfg)
		assert.ErrorContains(t, err, want)
	}
}

// TestValidate breaks each setting and each part of the data alone.
func TestValidate(t *testing.T) {
	whole, cfg := smallRun(t)
	require.NoError(t, cfg.Validate())
	for field, change := range map[string]func(*pipeline.Config){
		"Config.Versions is 0":          func(c *pipeline.Config) { c.Versions = 0 },
		"Config.PoolFrom is 0":          func(c *pipeline.Config) { c.PoolFrom = 0 },
		"Config.PPOFrom is 0":           func(c *pipeline.Config) { c.PPOFrom = 0 },
		"Config.GAttFrom is 0":          func(c *pipeline.Config) { c.GAttFrom = 0 },
		"Config.DistillFrom is 0":       func(c *pipeline.Config) { c.DistillFrom = 0 },
		"Config.PairTemperatures is":    func(c *pipeline.Config) { c.PairTemperatures[1] = 0 },
		"Config.HelpfulnessPairs is 0":  func(c *pipeline.Config) { c.HelpfulnessPairs = 0 },
		"Config.SafetyPairs is 0":       func(c *pipeline.Config) { c.SafetyPairs = 0 },
		"Config.HeldOut is 1":           func(c *pipeline.Config) { c.HeldOut = 1 },
		"Config.HeldOut is -":           func(c *pipeline.Config) { c.HeldOut = -0.1 },
		"Config.HeldOut is NaN":         func(c *pipeline.Config) { c.HeldOut = math.NaN() },
		"Config.Temperatures is []":     func(c *pipeline.Config) { c.Temperatures = nil },
		"Config.KeepEvery is 0":         func(c *pipeline.Config) { c.KeepEvery = 0 },
		"Config.PartPrompts is 0":       func(c *pipeline.Config) { c.PartPrompts = 0 },
		"Config.Helpfulness":            func(c *pipeline.Config) { c.Helpfulness.Epochs = 0 },
		"Config.Safety":                 func(c *pipeline.Config) { c.Safety.Epochs = 0 },
		"Config.Rejection.Samples is 0": func(c *pipeline.Config) { c.Rejection.Samples = 0 },
		"Config.FineTune":               func(c *pipeline.Config) { c.FineTune.Epochs = 0 },
		"Config.PPO.Iterations is 0":    func(c *pipeline.Config) { c.PPO.Iterations = 0 },
		"Config.GAtt.Stop is []":        func(c *pipeline.Config) { c.GAtt.Stop = nil },
		"Config.Distill.Stop is []":     func(c *pipeline.Config) { c.Distill.Stop = nil },
	} {
		broken := cfg
		change(&broken)
		_, err := pipeline.Run(t.Context(), t.TempDir(), whole, broken)
		assert.ErrorContains(t, err, "pipeline: "+field)
	}
	all := pipeline.Config{}.Validate().Error()
	for range 20 {
		require.Equal(t, all, pipeline.Config{}.Validate().Error(), "the order is fixed")
	}
	for field, change := range map[string]func(*pipeline.Data){
		"Start":       func(d *pipeline.Data) { d.Start = nil },
		"Tokenizer":   func(d *pipeline.Data) { d.Tokenizer = nil },
		"Template":    func(d *pipeline.Data) { d.Template = nil },
		"Annotate":    func(d *pipeline.Data) { d.Annotate = nil },
		"Helpfulness": func(d *pipeline.Data) { d.Helpfulness = nil },
		"Safety":      func(d *pipeline.Data) { d.Safety = nil },
		"Prompts":     func(d *pipeline.Data) { d.Prompts = nil },
		"Validation":  func(d *pipeline.Data) { d.Validation = nil },
		"PrePrompts":  func(d *pipeline.Data) { d.PrePrompts = nil },
	} {
		broken := whole
		change(&broken)
		_, err := pipeline.Run(t.Context(), t.TempDir(), broken, cfg)
		assert.ErrorContains(t, err, "pipeline: Data."+field+" is missing")
	}
}
