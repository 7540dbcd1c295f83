package ppo

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tame-rlhf/tame/pkg/data"
)

func TestGateCount(t *testing.T) {
	var c GateCount
	assert.True(t, math.IsNaN(c.Share()))
	c.Add(Score{Helpfulness: -5, Safety: -2}, false, true) // gains 3
	c.Add(Score{Helpfulness: 1, Safety: -2}, false, true)  // loses 3
	c.Add(Score{Helpfulness: -2, Safety: -2}, false, true) // neither
	c.Add(Score{Helpfulness: -5, Safety: -2}, true, true)  // a safety prompt
	c.Add(Score{Helpfulness: -5, Safety: 0}, false, false) // not caught
	c.Add(Score{Helpfulness: -1, Safety: -3}, false, true) // loses 2
	assert.Equal(t, GateCount{Caught: 4, Gains: 1}, c)
	assert.Equal(t, 0.25, c.Share())
}

// The lower end of Wilson's interval is above a half, by hand: for 15 of 20 it is (15 + 1.921 -
// 1.960 sqrt(15·5/20 + 0.960)) / 23.841 =
// 0.531, for 14 of 20 it is 0.481, for 60 of 100 it is 0.502 and for 59 of 100 it is 0.492.
func TestContradicts(t *testing.T) {
	for c, want := range map[GateCount]bool{
		{}: false, {19, 19}: false, {20, 20}: true, {20, 15}: true, {20, 14}: false, {100, 60}: true, {100, 59}: false,
	} {
		assert.Equal(t, want, c.Contradicts(), fmt.Sprintf("%+v", c))
	}
}

func TestGateMetrics(t *testing.T) {
	cfg := DefaultConfig()
	episodeOf := func(s Score, safetyPrompt bool) *episode {
		e := &episode{Answer: data.Answer{Prompt: data.TokenPrompt{Safety: safetyPrompt}, Tokens: []int32{2}, LogProbs: []float32{0}}, extra: s,
			logProbs: []float64{0}, refLogProbs: []float64{0}, rewards: []float64{0}, returns: []float64{0}, values: []float64{0}}
		e.raw, e.bySafety = Combine(s, safetyPrompt, cfg.SafetyThreshold)
		return e
	}
	m := map[string]float64{}
	rolloutMetrics(m, []*episode{
		episodeOf(Score{Helpfulness: -4, Safety: -3}, false), episodeOf(Score{Helpfulness: 0, Safety: -3}, false),
		episodeOf(Score{Helpfulness: -2, Safety: -1.8}, false), episodeOf(Score{Helpfulness: -9, Safety: -3}, true),
		episodeOf(Score{Helpfulness: -9, Safety: -1.7}, false),
	}, 0.01)
	assert.Equal(t, 0.75, m["objective/gate_caught"], "three of the four answers to untagged prompts")
	assert.InDelta(t, 2.0/3, m["objective/gate_gain"], 1e-15)

	m = map[string]float64{}
	rolloutMetrics(m, []*episode{episodeOf(Score{Helpfulness: -9, Safety: -3}, true)}, 0.01)
	assert.Equal(t, 0.0, m["objective/gate_caught"])
	assert.NotContains(t, m, "objective/gate_gain", "nothing was caught")
}
