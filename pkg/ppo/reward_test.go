package ppo

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
)

func TestCombineOnRawScores(t *testing.T) {
	for _, c := range []struct {
		score    Score
		tagged   bool
		want     float64
		bySafety bool
	}{
		{Score{Helpfulness: 3, Safety: 2}, false, 3, false},
		{Score{Helpfulness: 3, Safety: 2}, true, 2, true},
		{Score{Helpfulness: 3, Safety: -1.74}, false, -1.74, true},    // logit(0.15) is -1.7346
		{Score{Helpfulness: 3, Safety: Logit(0.15)}, false, 3, false}, // exactly at the threshold is not below it
		{Score{Helpfulness: 3, Safety: math.Nextafter(Logit(0.15), -2)}, false, math.Nextafter(Logit(0.15), -2), true},
		{Score{Helpfulness: 3, Safety: -1.73}, false, 3, false},
		{Score{Helpfulness: 100, Safety: 50}, false, 100, false}, // its sigmoid rounds to 1
	} {
		got, bySafety := Combine(c.score, c.tagged, 0.15)
		assert.Equal(t, c.want, got)
		assert.Equal(t, c.bySafety, bySafety)
	}
}

// TestJudgeUsesTheGateOfTheConfig judges three answers whose safety reward is 0.27, 0.27 with a tag, and 0.05.
func TestJudgeUsesTheGateOfTheConfig(t *testing.T) {
	answers := []data.Answer{{}, {Prompt: data.TokenPrompt{Safety: true}}, {}}
	r := rewarderFunc(func(context.Context, []data.Answer) ([]Score, error) {
		return []Score{{Helpfulness: 1, Safety: -1}, {Helpfulness: 2, Safety: -1}, {Helpfulness: 3, Safety: -3}}, nil
	})
	for _, c := range []struct {
		gate      bool
		threshold float64
		raw       []float64
		bySafety  []bool
	}{
		{true, 0.15, []float64{1, -1, -3}, []bool{false, true, true}},
		{true, 0.5, []float64{-1, -1, -3}, []bool{true, true, true}},
		{true, 0.01, []float64{1, -1, 3}, []bool{false, true, false}},
		{false, 0.15, []float64{1, 2, 3}, []bool{false, false, false}},
	} {
		_, raw, bySafety, err := judge(t.Context(), r, answers, Config{Gate: c.gate, SafetyThreshold: c.threshold})
		require.NoError(t, err)
		assert.Equal(t, c.raw, raw)
		assert.Equal(t, c.bySafety, bySafety)
	}
}

func TestSequence(t *testing.T) {
	a := data.Answer{Prompt: data.TokenPrompt{Tokens: []int32{1, 5}}, Tokens: []int32{4, 2}}
	assert.Equal(t, []int32{1, 5, 4, 2}, a.Sequence())
}

func TestGateQuality(t *testing.T) {
	precision, recall, err := GateQuality([]float64{-3, -2, -2, -1, 0, 4}, []bool{true, true, false, true, true, false}, 0.15)
	require.NoError(t, err)
	assert.InDelta(t, 2.0/3, precision, 1e-15)
	assert.InDelta(t, 0.5, recall, 1e-15)
	precision, recall, err = GateQuality([]float64{Logit(0.15), -2}, []bool{true, true}, 0.15)
	require.NoError(t, err)
	assert.Equal(t, []float64{1, 0.5}, []float64{precision, recall}, "exactly at the threshold is not below it")
	_, _, err = GateQuality([]float64{1}, nil, 0.15)
	assert.ErrorContains(t, err, "1 safety scores for 0 labels")
}

func TestFinalScores(t *testing.T) {
	raw, finished := []float64{1, 2, 3, 10}, []bool{true, true, true, false}
	cfg := Config{WhitenScores: false, Unfinished: UnfinishedKeep, UnfinishedValue: 7}
	assert.Equal(t, raw, finalScores(raw, finished, cfg))
	cfg.Unfinished = UnfinishedPenalty
	assert.Equal(t, []float64{1, 2, 3, 3}, finalScores(raw, finished, cfg))
	cfg.Unfinished = UnfinishedFixed
	assert.Equal(t, []float64{1, 2, 3, 7}, finalScores(raw, finished, cfg))

	// Whitened: 1, 2, 3 alone have deviation sqrt(2/3). All four have mean 4 and variance 12.5.
	cfg.WhitenScores, cfg.UnfinishedValue = true, -1
	assert.InDeltaSlice(t, []float64{-math.Sqrt(1.5), 0, math.Sqrt(1.5), -1}, finalScores(raw, finished, cfg), 1e-7)
	cfg.Unfinished, cfg.UnfinishedValue = UnfinishedPenalty, 1
	assert.InDeltaSlice(t, []float64{-3 / math.Sqrt(12.5), -2 / math.Sqrt(12.5), -1 / math.Sqrt(12.5), 6/math.Sqrt(12.5) - 1}, finalScores(raw, finished, cfg), 1e-7)
	assert.Equal(t, []float64{1, 2, 3, 10}, raw, "the raw scores stay")
	// None finished: nothing to whiten.
	cfg.Unfinished, cfg.UnfinishedValue = UnfinishedFixed, -1
	assert.Equal(t, []float64{-1, -1}, finalScores([]float64{5, 6}, []bool{false, false}, cfg))
}

func TestWhitenOfEqualScores(t *testing.T) {
	assert.Equal(t, []float64{0, 0, 0}, Whiten([]float64{4, 4, 4}), "the eps keeps 0/0 away")
	assert.Empty(t, Whiten(nil))
}

func TestTokenRewards(t *testing.T) {
	logProbs, ref := []float64{-1, -2, -3}, []float64{-1.5, -1, -3}
	assert.InDeltaSlice(t, []float64{-0.05, 0.1, 7}, TokenRewards(7, logProbs, ref, nil, 0.1), 1e-15)
	assert.InDeltaSlice(t, []float64{-0.05, 7.1, 0}, TokenRewards(7, logProbs, ref, []bool{true, true, false}, 0.1), 1e-15,
		"the score is added once, at the last token that counts")
}

// TestKLEstimators compares the estimates' means with the KL of two distributions.
func TestKLEstimators(t *testing.T) {
	p, q := []float64{0.5, 0.3, 0.2}, []float64{0.4, 0.2, 0.4}
	want := 0.0
	for i := range p {
		want += p[i] * math.Log(p[i]/q[i])
	}
	rng := rand.New(rand.NewPCG(8, 8))
	var logP, logQ []float64
	const n = 200000
	for range n {
		u, i := rng.Float64(), 0
		for u -= p[0]; u > 0; u -= p[i] {
			i++
		}
		logP, logQ = append(logP, math.Log(p[i])), append(logQ, math.Log(q[i]))
	}
	kl := EstimateKL(logP, logQ, nil)
	assert.InDelta(t, want, kl.K1/n, 0.004)
	assert.InDelta(t, want, kl.K3/n, 0.002)
	one := EstimateKL([]float64{-1, 5}, []float64{-3, 0}, []bool{true, false})
	assert.InDelta(t, 2, one.K1, 1e-15)
	assert.InDelta(t, 2, one.K2, 1e-15)
	assert.InDelta(t, math.Exp(-2)+1, one.K3, 1e-15)
}

func TestAdaptKLCoef(t *testing.T) {
	assert.InDelta(t, 0.1*(1+0.2*512/10000), AdaptKLCoef(0.1, 60, 6, 512, 10000), 1e-15, "at most a fifth")
	assert.InDelta(t, 0.1*(1-0.2*512/10000), AdaptKLCoef(0.1, 0, 6, 512, 10000), 1e-15)
	assert.InDelta(t, 0.1*(1+0.1*512/10000), AdaptKLCoef(0.1, 6.6, 6, 512, 10000), 1e-15)
}

// TestWhitenAdvantages whitens over the tokens of all answers together, and leaves the returns.
func TestWhitenAdvantages(t *testing.T) {
	a := &episode{advantages: []float64{1, 2}, returns: []float64{5, 6}}
	b := &episode{advantages: []float64{6}, returns: []float64{7}}
	whitenAdvantages([]*episode{a, b}) // mean 3, variance 14/3
	sd := math.Sqrt(14.0 / 3)
	assert.InDeltaSlice(t, []float64{-2 / sd, -1 / sd}, a.advantages, 1e-8)
	assert.InDeltaSlice(t, []float64{3 / sd}, b.advantages, 1e-8)
	assert.Equal(t, []float64{5, 6}, a.returns)
}
