package pipeline_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/run"
)

// TestPreferencesOutliveSettings: people have answered, and then max_new_tokens must be raised.
func TestPreferencesOutliveSettings(t *testing.T) {
	d, cfg := smallRun(t)
	cfg.Versions, cfg.PPOFrom = 1, 2
	people, asked := d.Annotate, 0
	var fails error
	d.Annotate = func(ctx context.Context, list []pipeline.Comparison) ([]*data.Preference, error) {
		if fails != nil && asked > 0 {
			return nil, fails
		}
		asked += len(list)
		return people(ctx, list)
	}
	var changed []string
	cfg.Watch = func(e pipeline.Event) {
		if e.Changed != "" {
			changed = append(changed, e.Step+": "+e.Changed)
		}
	}
	dir := filepath.Join(t.TempDir(), "run")
	fail := errors.New("the office has closed")
	start := func(judges error) error {
		spy := pipeline.Spy{}
		if judges != nil {
			spy.Judges = func(int, *model.Params, *model.Params, pipeline.JudgesConfig) (*pipeline.Judges, error) {
				return nil, judges
			}
		}
		_, err := spy.Run(t.Context(), dir, d, cfg)
		return err
	}

	// 1. The annotators stop after the first part; then a setting changes.
	fails = fail
	require.ErrorIs(t, start(nil), fail)
	first := asked
	require.Positive(t, first)
	cfg.Rejection.MaxNewTokens++
	err := start(nil)
	require.ErrorIs(t, err, run.ErrOtherRun)
	assert.ErrorContains(t, err, "config field max_new_tokens was 20 and is 21")
	assert.ErrorContains(t, err, "preferences of annotators: keep_preferences: true")
	assert.Equal(t, first, asked)

	// 2. The part is kept, the rest is asked, and everything is there but what follows.
	fails, cfg.KeepPreferences = nil, true
	require.ErrorIs(t, start(fail), fail)
	require.Len(t, changed, 1)
	assert.Contains(t, changed[0], "the parts that are answered are kept")
	path := filepath.Join(dir, "v1", "preferences-helpfulness.arrow")
	rows, l, err := data.Read[pipeline.SampledPreference](path)
	require.NoError(t, err)
	assert.Contains(t, string(l.Config), `"earlier":{`)
	all := asked
	assert.Greater(t, all, first)

	// 3. Another change: reward models do not depend on it and stay, what does is made again.
	require.NoError(t, start(nil))
	cfg.Rejection.MaxNewTokens, cfg.KeepPreferences, changed = 24, false, nil
	err = start(nil)
	require.ErrorIs(t, err, run.ErrOtherRun)
	assert.ErrorContains(t, err, "made from it: v1/accuracy.arrow, v1/helpfulness, v1/safety")
	assert.ErrorContains(t, err, "v1/tuned")
	cfg.KeepPreferences = true
	require.NoError(t, start(nil))
	assert.Equal(t, all, asked, "nobody is asked again")
	text := strings.Join(changed, "\n")
	for _, step := range []string{"v1/preferences-helpfulness.arrow", "v1/preferences-safety.arrow", "v1/temperatures.arrow", "v1/samples.arrow"} {
		assert.Contains(t, text, step+": ")
	}
	assert.NotContains(t, text, "v1/helpfulness: ")
	again, _, err := data.Read[pipeline.SampledPreference](path)
	require.NoError(t, err)
	assert.Equal(t, rows, again)

	// 4. Other prompts leave what is finished, too.
	d.Prompts = d.Prompts[1:]
	require.NoError(t, start(nil))
	assert.Equal(t, all, asked)
}

// TestAnnotatorsAreNotAskedInVain: a model that never ends an answer is found out before.
func TestAnnotatorsAreNotAskedInVain(t *testing.T) {
	d, cfg := smallRun(t)
	cfg.Rejection.MaxNewTokens = 1
	d.Annotate = func(context.Context, []pipeline.Comparison) ([]*data.Preference, error) {
		t.Error("somebody was asked")
		return nil, nil
	}
	_, err := pipeline.Run(t.Context(), filepath.Join(t.TempDir(), "run"), d, cfg)
	assert.ErrorContains(t, err, "before annotators are asked")
	assert.ErrorContains(t, err, "raise Rejection.MaxNewTokens (1)")
}
