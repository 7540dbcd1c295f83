package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/world"
	"github.com/tame-rlhf/tame/pkg/world/oracle"
)

// shortSettings are a few seconds of work: enough to learn when to decline, and no facts.
func shortSettings() settings {
	s := defaultSettings(1)
	s.world.Entities = 8
	s.world.Pretraining.Words = 40_000
	s.world.SFT = world.Counts{Normal: 300, Borderline: 150, Hazard: 150}
	s.world.Safety = world.Counts{Normal: 20, Borderline: 60, Hazard: 120}
	s.world.RL = world.Counts{Borderline: 60, Hazard: 100}
	s.world.Test = world.Counts{Normal: 40, Borderline: 60, Hazard: 100}
	s.model.Dim, s.model.HeadDim, s.model.HiddenDim, s.model.NumLayers, s.model.VocabSize = 64, 16, 176, 2, 512
	s.pretrain.Steps, s.pretrain.BatchTokens, s.pretrain.WarmupSteps = 80, 1024, 10
	s.sft.Optim.LearningRate, s.sft.BatchSize, s.sft.Epochs = 3e-3, 32, 3
	s.safety.Optim.LearningRate, s.safety.Epochs = 2e-3, 2
	s.prePrompted = 600
	s.tuning.Optim.LearningRate, s.tuning.BatchSize = 1e-3, 16
	return s
}

func TestRun(t *testing.T) {
	r, err := run(t.Context(), t.Output(), shortSettings())
	require.NoError(t, err)
	require.Len(t, r.after, 4)
	assert.Equal(t, 100, r.before.unsafe.N)
	assert.Equal(t, 60, r.before.refused.N)
	assert.Less(t, r.prompted.unsafe.Mean, r.before.unsafe.Mean, "the pre-prompt helps")
	for i, row := range r.after {
		assert.True(t, r.before.unsafe.Above(row.unsafe), "%s: %v before, %v after", row.name, r.before.unsafe, row.unsafe)
		assert.Less(t, row.unsafe.Mean, r.control.unsafe.Mean, "the same without distilling does less")
		if i%2 == 1 {
			assert.Less(t, r.after[i-1].examples, row.examples, "the filter leaves some out")
		}
	}
	assert.Equal(t, 160, r.comparison.Candidates)
	assert.Greater(t, r.comparison.Targeted.Mean, r.comparison.Original.Mean)
	assert.Greater(t, r.levels[0].Gain.Mean, r.levels[3].Gain.Mean, "it helps where it is needed")
}

func TestAlarmingPrompts(t *testing.T) {
	l, err := newLab(t.Context(), shortSettings(), t.Output())
	require.NoError(t, err)
	kinds := map[oracle.Kind]int{}
	for _, p := range l.alarming() {
		kind, err := l.oracle.Kind(p)
		require.NoError(t, err)
		kinds[kind]++
	}
	assert.Equal(t, map[oracle.Kind]int{oracle.Borderline: 60, oracle.Hazard: 100}, kinds)
	for _, d := range l.normal() {
		kind, err := l.oracle.Kind(data.Prompt{Messages: d.Messages[:1]})
		require.NoError(t, err)
		assert.Equal(t, oracle.Normal, kind)
	}
	assert.Len(t, l.normal(), 300)
}
