package main

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/examples/internal/lab"
	"github.com/tame-rlhf/tame/pkg/gatt"
	"github.com/tame-rlhf/tame/pkg/world"
)

// shortSettings go every way in seconds; little is learned on it.
func shortSettings() settings {
	s := defaultSettings(1)
	s.world.Pretraining.Words = 20_000
	s.pretrain.Steps, s.pretrain.WarmupSteps = 20, 5
	s.short, s.long, s.dialogs, s.tests, s.turns = 60, 10, 10, 4, 6
	s.first.Epochs, s.sft.Epochs, s.last.Epochs = 1, 1, 1
	return s
}

func TestRun(t *testing.T) {
	r, err := run(context.Background(), t.Output(), shortSettings())
	require.NoError(t, err)
	assert.Less(t, r.pretraining, 4.5, "nats per token; it began at 6.6, those of 768 pieces")
	assert.Less(t, r.tuning, 4.0)
	require.Len(t, r.repeated, len(columns))
	assert.Equal(t, 10, r.repeated[0].Kept.N, "all dialogues that were trained on")
	for _, points := range [][]gatt.Point{r.before, r.baseline, r.paper, r.paperWarm, r.every, r.everyWarm} {
		require.Len(t, points, len(columns))
		for i, p := range points {
			if columns[i] > 6 {
				assert.Zero(t, p.Kept.N, "no dialogue has that turn")
				continue
			}
			assert.Equal(t, 4, p.Kept.N)
			assert.LessOrEqual(t, p.Lost, 4)
			assert.True(t, p.Kept.Mean >= 0 && p.Kept.Mean <= 1)
		}
	}
	require.Len(t, r.attention, 4)
	for _, a := range r.attention {
		assert.True(t, a.N == 0 || a.Mean > 0 && a.Mean < 1 && !math.IsNaN(a.Mean))
	}
}

func TestDialogs(t *testing.T) {
	list, kept := lab.Dialogs([]world.Dialog{{ID: "a", Questions: []string{"where does momu live ?"}}},
		[]world.Instruction{{Figure: "napoleon", Language: "french"}})
	require.Len(t, list, 1)
	assert.Equal(t, "act as napoleon and answer in french .", list[0].Instruction)
	assert.Equal(t, "figure : napoleon . language : french .", list[0].Short)
	k, n := kept(list[0], " napoleon momu lives in rome . ")
	assert.Equal(t, [2]int{1, 2}, [2]int{k, n})
}
