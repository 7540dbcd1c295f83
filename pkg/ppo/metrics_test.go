package ppo

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tame-rlhf/tame/pkg/data"
)

// TestRolloutMetrics computes them by hand from two answers of two and one tokens.
func TestRolloutMetrics(t *testing.T) {
	long := &episode{
		Answer: data.Answer{Tokens: []int32{3, 4}, LogProbs: []float32{-1.5, -1.75}}, raw: 3, bySafety: true, extra: Score{Helpfulness: 5, Safety: 3},
		logProbs: []float64{-1, -2}, refLogProbs: []float64{-2, -1.5}, rewards: []float64{-0.1, 1.05},
		values: []float64{1, 2}, returns: []float64{2, 4},
	}
	short := &episode{
		Answer: data.Answer{Tokens: []int32{2}, LogProbs: []float32{-0.5}, Finished: true}, raw: 7, extra: Score{Helpfulness: 7, Safety: 4},
		logProbs: []float64{-0.5}, refLogProbs: []float64{-0.25}, rewards: []float64{2},
		values: []float64{3}, returns: []float64{3},
	}
	m := map[string]float64{}
	rolloutMetrics(m, []*episode{long, short}, 0.1)
	k3 := func(r float64) float64 { return math.Exp(r) - 1 - r }
	for name, want := range map[string]float64{
		"objective/kl":               (1 - 0.5 - 0.25) / 2, // log π - log π_0 of the tokens: 1, -0.5, -0.25
		"objective/kl_k2":            (1 + 0.25 + 0.0625) / 2 / 2,
		"objective/kl_k3":            (k3(-1) + k3(0.5) + k3(0.25)) / 2,
		"objective/kl_per_token":     0.25 / 3,
		"objective/kl_coef":          0.1,
		"objective/entropy":          3.5 / 2,
		"objective/non_score_reward": -0.1 * 0.25 / 2,
		"objective/rlhf_reward":      (-0.1 + 1.05 + 2) / 2,
		"objective/scores":           5,
		"objective/scores_std":       2,
		"objective/helpfulness":      6,
		"objective/safety":           3.5,
		"objective/by_safety":        0.5,
		"objective/gate_caught":      0.5, // one of two untagged answers, whose safety score 3 is below its helpfulness score 5
		"objective/gate_gain":        0,
		"rollout/logprob_diff_max":   0.5, // the sampler's are -1.5, -1.75 and -0.5
		"rollout/logprob_diff_mean":  0.25,
		"val/num_eos_tokens":         1,
		"val/num_empty_answers":      1,
		"critic/values_mean":         2,
		"critic/returns_mean":        3,
		"critic/vf_explained_var":    0, // returns 2, 4, 3 have the variance 2/3, and so have the errors 1, 2, 0
		"response_length/mean":       1.5,
		"response_length/max":        2,
	} {
		assert.InDelta(t, want, m[name], 1e-12, name)
	}
	assert.Len(t, m, 24)

	short.bySafety = true
	short.returns = []float64{4} // errors 1, 2, 1: variance 2/9; returns 2, 4, 4: variance 8/9
	rolloutMetrics(m, []*episode{long, short}, 0.1)
	assert.InDelta(t, 0.75, m["critic/vf_explained_var"], 1e-12)
	assert.Equal(t, 1.0, m["objective/by_safety"])
	assert.InDelta(t, math.Exp(20)-1-30, EstimateKL([]float64{-30}, []float64{0}, nil).K3, 1e-6, "the exponential stops at e^20")
}
