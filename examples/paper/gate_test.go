package main

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/ppo"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
)

// The gate at 0.15 is at -1.735.
func TestOutcome(t *testing.T) {
	s := func(helpfulness, safety float64) ppo.Score {
		return ppo.Score{Helpfulness: helpfulness, Safety: safety}
	}
	for name, c := range map[string]struct {
		contest contest
		bias    float64
		want    outcome
	}{
		"caught below the good answer": {contest{s(3, -4), []ppo.Score{s(2, 5)}}, 0, outcome{caught: true, byHelpfulness: true}},
		"a low level: -4 is above 2 - 7": {contest{s(3, -4), []ppo.Score{s(2, 5)}}, -7,
			outcome{caught: true, byReward: true, byHelpfulness: true}}, // 3 - 7 = -4 is no gain
		"a lower level":            {contest{s(1, -4), []ppo.Score{s(2, 5)}}, -7, outcome{caught: true, gains: true, byReward: true}},
		"above the gate":           {contest{s(3, -1.7), []ppo.Score{s(2, 5)}}, 0, outcome{byReward: true, byHelpfulness: true}},
		"a tie":                    {contest{s(2, 0), []ppo.Score{s(2, 5)}}, 1, outcome{}},
		"the best is caught":       {contest{s(1, 0), []ppo.Score{s(2, -3)}}, 0, outcome{byReward: true}},
		"there are no others":      {contest{s(9, 9), nil}, 0, outcome{}},
		"the second of two others": {contest{s(1, 0), []ppo.Score{s(0, 0), s(1.5, 0)}}, 0, outcome{}},
	} {
		assert.Equal(t, c.want, c.contest.outcome(c.bias, 0.15), name)
	}
	o := outcomes([]contest{{s(3, -4), []ppo.Score{s(2, 5)}}, {s(0, 0), []ppo.Score{s(1, 0)}}}, 0, 0.15)
	assert.Equal(t, 0.5, shareWhere(o, func(o outcome) bool { return o.caught }).Mean)
}

func TestPreferred(t *testing.T) {
	list := []rollout{
		{[]ppo.Score{{Helpfulness: 1}, {Helpfulness: 3}, {Helpfulness: 2.5, Safety: -3}, {Helpfulness: 1.5, Safety: 0}}, []bool{false, false, true, true}},
		{[]ppo.Score{{Helpfulness: 9, Safety: -3}}, []bool{true}}, // no safe one
	}
	byReward, byHelpfulness := preferred(list, []string{"a", "b"}, 0, 0.15)
	assert.Equal(t, series{[]float64{0, 0}, []string{"a", "a"}}, byReward)
	assert.Equal(t, []float64{1, 0}, byHelpfulness.values)
	byReward, byHelpfulness = preferred(list, []string{"a", "b"}, -6, 0.15) // the mean of the safe ones is -4
	assert.Equal(t, []float64{1, 0}, byReward.values)
	assert.Equal(t, []float64{1, 0}, byHelpfulness.values)
}

// fakeOutcomes draws outcomes of prompts; reward and helpfulness are the shares of wins.
func fakeOutcomes(rng *rand.Rand, n int, reward, helpfulness float64) []outcome {
	list := make([]outcome, n)
	for i := range list {
		list[i] = outcome{byReward: rng.Float64() < reward, byHelpfulness: rng.Float64() < helpfulness}
	}
	return list
}

// TestGateVerdict gives it an effect, the opposite, nothing at all and noise.
func TestGateVerdict(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	prompts := make([]string, 400)
	for i := range prompts {
		prompts[i] = fmt.Sprint(i)
	}
	versions := func(shares ...[2]float64) (list [][]outcome) {
		for _, s := range shares {
			list = append(list, fakeOutcomes(rng, len(prompts), s[0], s[1]))
		}
		return list
	}
	verdictOf := func(list [][]outcome) verdict { _, v := gateVerdict(list, prompts); return v }
	assert.Equal(t, agrees, verdictOf(versions([2]float64{0.01, 0.1}, [2]float64{0, 0.1}, [2]float64{0.01, 0.01})))
	assert.Equal(t, disagrees, verdictOf(versions([2]float64{0.1, 0.01}, [2]float64{0.2, 0.1})))
	assert.Equal(t, disagrees, verdictOf(versions([2]float64{0, 0.5}, [2]float64{0.2, 0.1})), "one version is worse beyond chance")
	assert.Equal(t, undecided, verdictOf(versions([2]float64{}, [2]float64{})))
	agreed := 0
	for range 200 {
		if verdictOf(versions([2]float64{0.05, 0.05}, [2]float64{0.05, 0.05})) == agrees {
			agreed++
		}
	}
	assert.LessOrEqual(t, agreed, 12, "a one-sided 2.5 %% of 200, and some more by chance")

	d, _ := gateVerdict([][]outcome{{{byHelpfulness: true}, {byReward: true}, {byHelpfulness: true}, {byReward: true, byHelpfulness: true}}}, prompts[:4])
	assert.Equal(t, 0.25, d.Mean)
}

func TestGateBias(t *testing.T) {
	g := &gateScores{trained: 5, pairs: []float64{4, -1, 2, -3, 6, 0}} // chosen: 4, 2, 6
	for _, c := range []struct {
		cfg  rewardmodel.Calibration
		want float64
	}{
		{rewardmodel.Calibration{}, 5},
		{rewardmodel.Calibration{Method: rewardmodel.CalibrateMean}, -8.0 / 6},
		{rewardmodel.Calibration{Method: rewardmodel.CalibrateQuantile, Quantile: 0.2, Level: -2}, -1},                        // of all: -1
		{rewardmodel.Calibration{Method: rewardmodel.CalibrateQuantile, Level: -2, Answers: rewardmodel.CalibrateChosen}, -4}, // of the chosen: 2
	} {
		got, err := g.bias(c.cfg)
		require.NoError(t, err)
		assert.InDelta(t, c.want, got, 1e-12, "%+v", c.cfg)
	}
	own := rewardmodel.DefaultCalibration()
	list := candidates(own, -1.7)
	assert.Equal(t, own, list[0].cfg)
	assert.Len(t, list, 8)
}
