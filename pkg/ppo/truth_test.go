package ppo

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/floats"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
)

// truthConfig lets the rate fall, because the noise of a constant one hides the last percent.
func truthConfig(beta float64, iterations, batch int) Config {
	cfg := tinyConfig()
	cfg.Iterations, cfg.MinLRRatio = iterations, 0
	cfg.BatchSize, cfg.SamplesPerPrompt, cfg.MiniBatch = batch, batch, batch/4
	cfg.Optim.LearningRate, cfg.CriticOptim.LearningRate = 3e-3, 1e-2
	cfg.MicroTokens, cfg.MicroSegments = 512, 128
	cfg.KLCoef = beta
	return cfg
}

// TestOneStepTruth lets PPO find what is known: with one prompt, answers of one token, fixed rewards r and a KL price beta,
// the best policy is π_0(a) exp(r(a)/beta) / Z.
func TestOneStepTruth(t *testing.T) {
	const vocab, beta = 8, 0.5
	prompt := []int32{1, 5}
	for _, shared := range []bool{false, true} {
		t.Run(fmt.Sprintf("SharedTrunk=%v", shared), func(t *testing.T) {
			var critic *model.Params
			policy := tinyModel(t, vocab, 1, 1)
			if shared {
				policy.AddHead(nil)
			} else {
				critic = tinyCritic(t, vocab, 1, 2)
			}
			rng := rand.New(rand.NewPCG(3, 3))
			rewards := make([]float64, vocab)
			for i := range rewards {
				rewards[i] = 2 * rng.Float64()
			}
			start := nextProbs(t, policy, prompt)
			want := tilted(start, rewards, beta)
			require.Greater(t, totalVariation(start, want), 0.2, "there is something to learn")

			cfg := truthConfig(beta, 120, 256)
			cfg.MaxNewTokens, cfg.SharedTrunk = 1, shared
			tr, err := New(policy, critic, []data.TokenPrompt{{Tokens: prompt}}, nil, FromReward(data.EachAnswer(func(a data.Answer) float64 { return rewards[a.Tokens[0]] })), cfg)
			require.NoError(t, err)
			iterate(t, tr, cfg.Iterations)
			assert.Less(t, totalVariation(nextProbs(t, policy, prompt), want), 0.02)
		})
	}
}

// TestSequenceTruth is the same with answers of up to three tokens from a vocabulary of four, one of which stops: all 40
// answers can be listed, those cut off by the length limit too.
//
// The prompt is the one token that no answer goes on from: to a Llama a row of equal tokens looks like one of them, so
// that with another prompt some answers could not be told apart and the best policy could not be reached.
func TestSequenceTruth(t *testing.T) {
	const vocab, stop, longest, beta = 4, 2, 3, 0.5
	prompt := []int32{stop}
	policy, critic := tinyModel(t, vocab, 2, 4), tinyCritic(t, vocab, 1, 5)

	var answers [][]int32
	var list func(prefix []int32)
	list = func(prefix []int32) {
		for id := range int32(vocab) {
			a := append(slices.Clone(prefix), id)
			if id == stop || len(a) == longest {
				answers = append(answers, a)
			} else {
				list(a)
			}
		}
	}
	list(nil)
	require.Len(t, answers, 1+3+9*4)
	probs := func() []float64 {
		p := make([]float64, len(answers))
		for i, a := range answers {
			p[i] = 1
			for k, id := range a {
				p[i] *= nextProbs(t, policy, slices.Concat(prompt, a[:k]))[id]
			}
		}
		return p
	}
	rng := rand.New(rand.NewPCG(6, 6))
	rewards, byAnswer := make([]float64, len(answers)), map[string]float64{}
	for i, a := range answers {
		rewards[i] = 2 * rng.Float64()
		byAnswer[fmt.Sprint(a)] = rewards[i]
	}
	start := probs()
	require.InDelta(t, 1, floats.Sum(start), 1e-6, "the answers are all there are")
	want := tilted(start, rewards, beta)
	require.Greater(t, totalVariation(start, want), 0.2, "there is something to learn")

	cfg := truthConfig(beta, 120, 512)
	cfg.MaxNewTokens, cfg.Stop = longest, []int32{stop}
	tr, err := New(policy, critic, []data.TokenPrompt{{Tokens: prompt}}, nil, FromReward(data.EachAnswer(func(a data.Answer) float64 { return byAnswer[fmt.Sprint(a.Tokens)] })), cfg)
	require.NoError(t, err)
	m := iterate(t, tr, cfg.Iterations)
	assert.Less(t, totalVariation(probs(), want), 0.02)
	assert.Greater(t, m["critic/vf_explained_var"], 0.9, "the critic knows what is left to come")
}
