package main

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/console"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
)

// silent is a console that nobody reads.
func silent(t *testing.T) *console.Console {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, null.Close()) })
	return console.New(null)
}

// TestShort runs the whole chain, small: everything is there at the end and no number is lost.
func TestShort(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	require.NoError(t, quickstart(t.Context(), silent(t), 1, "none", true, dir))

	raw, err := os.ReadFile(filepath.Join(dir, "results.json"))
	require.NoError(t, err)
	var r results
	require.NoError(t, json.Unmarshal(raw, &r))
	assert.Len(t, r.RewardModels, 4)
	assert.Len(t, r.PPO, 2)
	require.Len(t, r.Test, 4)
	require.Len(t, r.Versions, 2)
	assert.Zero(t, r.Test[0].KL.Mean, "SFT to itself")
	for _, v := range r.Test[1:] {
		assert.Positive(t, v.KL.Mean, "%s moved", v.Version)
		assert.False(t, math.IsNaN(v.Helpfulness.Mean))
	}
	assert.Contains(t, []string{"SFT", "V1", "V2", "V2 with PPO"}, r.Picked)
	require.Len(t, r.Steps, 3)
	require.Len(t, r.ColdSteps, 3)
	for i, s := range r.Steps {
		assert.Equal(t, r.Test[i].Version, s.Before)
		assert.InDelta(t, r.Test[i+1].Unsafe.Mean-r.Test[i].Unsafe.Mean, s.Unsafe.Mean, 1e-12)
		assert.InDelta(t, r.Test[i+1].Helpfulness.Mean-r.Test[i].Helpfulness.Mean, s.Helpfulness.Mean, 1e-12)
	}

	samples, lineage, err := data.Read[data.Sample](filepath.Join(dir, "samples-v2-with-ppo.arrow"))
	require.NoError(t, err)
	assert.Len(t, samples, r.Test[3].Length.N)
	assert.Equal(t, uint64(1), lineage.Seed)
	_, err = model.Load(filepath.Join(dir, "run", "v2", "ppo"))
	assert.NoError(t, err)
}

func TestStopsCleanly(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := filepath.Join(t.TempDir(), "out")
	assert.ErrorIs(t, quickstart(ctx, silent(t), 1, "none", true, dir), context.Canceled)
	_, err := os.Stat(dir)
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestControls(t *testing.T) {
	for name, want := range map[string]control{"none": controlNone, "shuffled": controlShuffled, "sft": controlSFT} {
		got, err := parseControl(name)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	_, err := parseControl("noise")
	assert.ErrorContains(t, err, "none, shuffled or sft")
}
