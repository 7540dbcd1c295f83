package rejection

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
)

// tinyModel draws a Llama of width 16 whose distributions are all but flat.
func tinyModel(t testing.TB) *model.Params {
	t.Helper()
	cfg := model.Config{
		Dim: 16, NumLayers: 1, NumHeads: 2, NumKVHeads: 1, HeadDim: 8, HiddenDim: 24, VocabSize: 12, MaxSeqLen: 16,
		NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}
	require.NoError(t, cfg.Validate())
	p := model.NewParams(cfg, tensor.Float32)
	p.Init(rand.New(rand.NewPCG(1, 9)))
	return p
}

func tinyConfig() Config {
	cfg := DefaultConfig()
	cfg.Samples, cfg.MaxNewTokens, cfg.Stop, cfg.Version, cfg.Seed = 4, 10, []int32{2}, 3, 5
	return cfg
}

func prompts(n int) []data.TokenPrompt {
	list := make([]data.TokenPrompt, n)
	for i := range list {
		list[i] = data.TokenPrompt{ID: fmt.Sprint("prompt ", i), Tokens: []int32{1, int32(3 + i)}, Safety: i%2 == 1}
	}
	return list
}

// short likes short answers.
var short = data.EachAnswer(func(a data.Answer) float64 { return -float64(len(a.Tokens)) })

func TestSample(t *testing.T) {
	cfg := tinyConfig()
	done := 0
	cfg.OnProgress = func(d, total int) { done = d; assert.Equal(t, 20, total) }
	answers, err := Sample(context.Background(), tinyModel(t), prompts(5), short, cfg)
	require.NoError(t, err)
	require.Len(t, answers, 20)
	assert.Equal(t, 20, done)
	finished := 0
	for i, a := range answers {
		assert.Equal(t, prompts(5)[i/4], a.Prompt)
		assert.Equal(t, i%4, a.Index)
		assert.Equal(t, 3, a.Version)
		assert.Equal(t, cfg.Temperature, a.Temperature)
		assert.Equal(t, -float64(len(a.Tokens)), a.Reward)
		assert.Len(t, a.LogProbs, len(a.Tokens))
		assert.LessOrEqual(t, len(a.Tokens), 10)
		assert.Equal(t, a.Tokens[len(a.Tokens)-1] == 2, a.Finished)
		if a.Finished {
			finished++
		}
	}
	assert.Positive(t, finished)
	assert.Less(t, finished, 20)
	assert.NotEqual(t, answers[0].Tokens, answers[1].Tokens)

	cfg.Seed++
	cfg.OnProgress = nil
	others, err := Sample(context.Background(), tinyModel(t), prompts(5), short, cfg)
	require.NoError(t, err)
	assert.NotEqual(t, answers, others)
}

// A prompt's answers depend on its ID and its tokens, not on the company it keeps.
func TestSampleIsDeterministic(t *testing.T) {
	p := tinyModel(t)
	want, err := Sample(context.Background(), p, prompts(5), short, tinyConfig())
	require.NoError(t, err)
	list := prompts(5)
	slices.Reverse(list)
	cfg := tinyConfig()
	cfg.Slots = 3
	got, err := Sample(context.Background(), p, list, short, cfg)
	require.NoError(t, err)
	assert.ElementsMatch(t, want, got)
	assert.Equal(t, want[4:8], got[12:16])
	assert.ElementsMatch(t, Best(want), Best(got))
}

// The reward of each temperature is known here, so the best one is.
func TestTune(t *testing.T) {
	worth := map[float64]float64{0.5: 1, 1: -2, 1.5: 4, 2: 3}
	temperatures := []float64{0.5, 1, 1.5, 2}
	calls := 0 // one for each temperature
	reward := func(_ context.Context, answers []data.Answer) ([]float64, error) {
		calls++
		return slices.Repeat([]float64{worth[temperatures[(calls-1)%4]]}, len(answers)), nil
	}
	best, points, err := Tune(context.Background(), tinyModel(t), prompts(5), reward, tinyConfig(), temperatures)
	require.NoError(t, err)
	assert.Equal(t, 1.5, best)
	require.Len(t, points, 4)
	for i, pt := range points {
		assert.Equal(t, temperatures[i], pt.Temperature)
		assert.InDelta(t, worth[pt.Temperature], pt.Max, 1e-12)
		assert.InDelta(t, worth[pt.Temperature], pt.Median, 1e-12)
	}
	again, samePoints, err := Tune(context.Background(), tinyModel(t), prompts(5), reward, tinyConfig(), temperatures)
	require.NoError(t, err)
	assert.Equal(t, best, again)
	assert.Equal(t, points, samePoints)

	_, _, err = Tune(context.Background(), tinyModel(t), prompts(5), reward, tinyConfig(), nil)
	assert.ErrorContains(t, err, "no temperatures")
	_, _, err = Tune(context.Background(), tinyModel(t), prompts(5), reward, tinyConfig(), []float64{1, 0})
	assert.ErrorContains(t, err, "Temperature is 0, want a positive number with more than one sample")
	greedy := tinyConfig()
	greedy.Samples, greedy.Temperature = 1, 0
	assert.NoError(t, greedy.Validate())
}

// Where no answer ends by itself there is nothing to choose from.
func TestTuneNothingFinished(t *testing.T) {
	cfg := tinyConfig()
	cfg.Samples, cfg.MaxNewTokens, cfg.TopP = 1, 1, 1e-6 // the most probable token alone
	answers, err := Sample(context.Background(), tinyModel(t), prompts(1), short, cfg)
	require.NoError(t, err)
	cfg.Stop = []int32{(answers[0].Tokens[0] + 1) % 12}
	_, points, err := Tune(context.Background(), tinyModel(t), prompts(1), short, cfg, []float64{0.5, 1})
	assert.ErrorContains(t, err, "rejection: no answer was finished without being empty at any of 2 temperatures")
	assert.Len(t, points, 2)
}

func TestSampleRefuses(t *testing.T) {
	ctx, p := context.Background(), tinyModel(t)
	_, err := Sample(ctx, p, nil, short, tinyConfig())
	assert.ErrorIs(t, err, data.ErrEmpty)

	broken := errors.New("broken")
	for want, reward := range map[string]data.RewardFunc{
		"rejection: reward: broken":           func(context.Context, []data.Answer) ([]float64, error) { return nil, broken },
		"reward gave 1 numbers for 8 answers": func(context.Context, []data.Answer) ([]float64, error) { return []float64{1}, nil },
		"rejection: the reward of sample 3 of prompt \"prompt 0\" is NaN": func(context.Context, []data.Answer) ([]float64, error) {
			return []float64{0, 0, 0, math.NaN(), 0, 0, 0, 0}, nil
		},
	} {
		_, err := Sample(ctx, p, prompts(2), reward, tinyConfig())
		assert.ErrorContains(t, err, want)
	}

	same := prompts(3)
	same[2].ID = same[0].ID
	_, err = Sample(ctx, p, same, short, tinyConfig())
	assert.ErrorContains(t, err, "prompts 0 and 2 differ and have the same ID")
	same[2] = same[0] // the same prompt twice does no harm
	_, err = Sample(ctx, p, same, short, tinyConfig())
	assert.NoError(t, err)

	cfg := tinyConfig()
	cfg.Samples, cfg.TopP, cfg.Stop, cfg.Slots = 0, 2, nil, 0
	err = cfg.Validate()
	for _, field := range []string{"Samples is 0", "TopP is 2", "Stop is []", "Slots is 0"} {
		assert.ErrorContains(t, err, field)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = Sample(cancelled, p, prompts(2), short, tinyConfig())
	assert.ErrorIs(t, err, context.Canceled)
}
