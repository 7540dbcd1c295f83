package ppo

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/setting"
)

// TestPaperValues holds the numbers that section 3.2.3 gives.
func TestPaperValues(t *testing.T) {
	c := DefaultConfig()
	assert.NoError(t, c.Validate())
	assert.Equal(t, optim.Config{LearningRate: 1e-6, Beta1: 0.9, Beta2: 0.95, Eps: 1e-5, WeightDecay: 0.1, MaxGradNorm: 1}, c.Optim)
	assert.Equal(t, []int{512, 64, 1}, []int{c.BatchSize, c.MiniBatch, c.Epochs})
	assert.Equal(t, []float64{0.2, 0.01, 0.15, 1}, []float64{c.ClipRange, c.KLCoef, c.SafetyThreshold, c.MinLRRatio})
	assert.True(t, c.Gate && c.WhitenScores && c.Iterations >= 200 && c.Iterations <= 400)
	assert.Equal(t, KLFixed, c.KLControl)
}

// TestOpenValues holds what the package chooses where the paper is silent, and its documentation says.
func TestOpenValues(t *testing.T) {
	c := DefaultConfig()
	assert.Equal(t, 1e-5, c.CriticOptim.LearningRate)
	assert.Equal(t, []float64{0.2, 0.1, 0, 0}, []float64{c.ValueClip, c.ValueCoef, c.EntropyCoef, c.MaxKL})
	assert.Equal(t, []float64{1, 0.95, 1, 6, 10000}, []float64{c.Gamma, c.GAELambda, c.Temperature, c.KLTarget, c.KLHorizon})
	assert.Equal(t, []int{1, 256, 10, 5, 0}, []int{c.SamplesPerPrompt, c.MaxNewTokens, c.EvalEvery, c.Patience, c.CriticWarmup})
	assert.Equal(t, UnfinishedPenalty, c.Unfinished)
	assert.Equal(t, 1.0, c.UnfinishedValue)
	assert.True(t, c.WhitenAdvantages)
	assert.False(t, c.SharedTrunk)
}

func TestValidateReportsAll(t *testing.T) {
	err := Config{
		MiniBatch: 3, BatchSize: 8, SamplesPerPrompt: 5, MinLRRatio: 2, CriticWarmup: -1, ClipRange: 1, ValueClip: -1, ValueCoef: math.NaN(), EntropyCoef: -1,
		MaxKL: -1, KLCoef: math.Inf(1), KLControl: KLAdaptive, Gate: true, SafetyThreshold: 1, Unfinished: 9, UnfinishedValue: math.NaN(),
		Gamma: 1.1, GAELambda: -0.1, EvalEvery: -1, Patience: -1, ExtraSegment: []string{"a"}, ExtraToken: []string{"a"},
	}.Validate()
	for _, field := range []string{
		"Iterations", "MiniBatch", "SamplesPerPrompt", "Epochs", "MinLRRatio", "CriticWarmup", "ClipRange", "ValueClip", "ValueCoef",
		"EntropyCoef", "MaxKL", "KLCoef", "KLTarget", "KLHorizon", "SafetyThreshold", "Unfinished", "UnfinishedValue", "Gamma", "GAELambda",
		"Temperature", "MaxNewTokens", "Slots", "EvalEvery", "Patience", "MicroTokens", "MicroSegments", "Optim", "CriticOptim", "ExtraSegment",
	} {
		assert.ErrorContains(t, err, "ppo: Config."+field)
	}
	assert.ErrorContains(t, err, "9, which is none of [UnfinishedPenalty UnfinishedFixed UnfinishedKeep]")
	assert.Equal(t, "KLAdaptive", KLAdaptive.String())

	c := DefaultConfig()
	c.BatchSize, c.MiniBatch = 1, 1
	assert.ErrorContains(t, c.Validate(), "ppo: Config.BatchSize is 1, want at least 2 with WhitenScores")
	c.WhitenScores = false
	assert.ErrorContains(t, c.Validate(), "ppo: Config.BatchSize is 1, want at least 2 with WhitenAdvantages")
	c.WhitenAdvantages = false
	assert.NoError(t, c.Validate())

	c = DefaultConfig()
	c.SharedTrunk, c.CriticWarmup, c.CriticOptim = true, 1, optim.Config{}
	err = c.Validate()
	assert.ErrorContains(t, err, "CriticWarmup")
	assert.NotContains(t, err.Error(), "CriticOptim", "it is not used")
}

// The distribution sampled from has to be the one that is trained.
func TestSamplingIsTheDistributionTrained(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"ppo: Config.TopP is 0.9, want 1: the distribution sampled from": func(c *Config) { c.TopP = 0.9 },
		"ppo: Config.TopK is 5, want 0: the distribution sampled from":   func(c *Config) { c.TopK = 5 },
		"ppo: Config.Temperature is 0, want a positive number: greedy":   func(c *Config) { c.Temperature = 0 },
	} {
		c := DefaultConfig()
		change(&c)
		assert.ErrorContains(t, c.Validate(), want)
		assert.Len(t, setting.Fields(c.Validate()), 1, want)
	}
}

func TestNewRefuses(t *testing.T) {
	cfg := smallConfig()
	policy, critic := tinyModel(t, 9, 1, 1), tinyCritic(t, 9, 1, 2)
	try := func(policy, critic *model.Params, prompts []data.TokenPrompt, r Rewarder, cfg Config) error {
		_, err := New(policy, critic, prompts, nil, r, cfg)
		return err
	}
	ok := somePrompts()
	assert.NoError(t, try(policy, critic, ok, sevens, cfg))
	assert.ErrorContains(t, try(nil, critic, ok, sevens, cfg), "the policy is nil")
	assert.ErrorContains(t, try(policy, nil, ok, sevens, cfg), "Config.SharedTrunk")
	assert.ErrorContains(t, try(policy, critic, nil, nil, cfg), "the rewarder is nil\nppo: there are no prompts")
	assert.ErrorContains(t, try(policy, tinyModel(t, 9, 1, 2), ok, sevens, cfg), "AddHead")
	assert.ErrorContains(t, try(policy, tinyCritic(t, 10, 1, 2), ok, sevens, cfg), "one tokenizer")
	assert.ErrorContains(t, try(critic, critic, ok, sevens, cfg), "same weights")
	assert.ErrorContains(t, try(policy.As(tensor.Float64), critic, ok, sevens, cfg), "float32")
	for want, p := range map[string]data.TokenPrompt{
		"prompt 1: it is empty":                                         {},
		"prompt 1: it has 16 tokens, the context":                       {Tokens: make([]int32, 16)},
		"prompt 1: model: token 0 is 9, outside of the vocabulary of 9": {Tokens: []int32{9}},
	} {
		assert.ErrorContains(t, try(policy, critic, []data.TokenPrompt{ok[0], p}, sevens, cfg), want)
	}
	small := cfg
	small.MicroTokens, small.MicroSegments = 10, 2
	assert.ErrorContains(t, try(policy, critic, []data.TokenPrompt{{Tokens: make([]int32, 5)}}, sevens, small), "it may have 11 tokens, Config.MicroTokens is 10")
	shared := cfg
	shared.SharedTrunk = true
	assert.ErrorContains(t, try(policy, critic, ok, sevens, shared), "pass nil")
	assert.ErrorContains(t, try(policy, nil, ok, sevens, shared), "the policy has no scalar head")
	assert.NoError(t, try(critic, nil, ok, sevens, shared), "as the errors say")
	short := critic.Config()
	short.MaxSeqLen = 8
	shortCritic := model.NewParams(short, tensor.Float32)
	shortCritic.AddHead(nil)
	assert.ErrorContains(t, try(policy, shortCritic, ok, sevens, cfg), "the critic's context is 8: lower Config.MaxNewTokens")
	fewer := cfg
	fewer.MaxNewTokens = 1
	assert.NoError(t, try(policy, shortCritic, ok, sevens, fewer))
}

func TestRewarderIsChecked(t *testing.T) {
	for want, r := range map[string]Rewarder{
		"the rewarder gave 1 scores for 16 answers": rewarderFunc(func(context.Context, []data.Answer) ([]Score, error) { return make([]Score, 1), nil }),
		"gave answer 0 helpfulness NaN":             FromReward(data.EachAnswer(func(data.Answer) float64 { return math.NaN() })),
		"scoring 16 answers: " + context.DeadlineExceeded.Error(): rewarderFunc(func(context.Context, []data.Answer) ([]Score, error) {
			return nil, context.DeadlineExceeded
		}),
		`the rewarder's "x" for answer 0 has 0 numbers`: rewarderFunc(func(_ context.Context, a []data.Answer) ([]Score, error) {
			s := make([]Score, len(a))
			s[0].TokenExtra = map[string][]float64{"x": nil}
			return s, nil
		}),
	} {
		_, err := newTiny(t, smallConfig(), r).Iterate(context.Background())
		assert.ErrorContains(t, err, want)
	}
}
