package sft

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/train"
)

// oneStep trains one step on all examples.
func oneStep(t testing.TB, examples []data.Example, change func(*Config)) (*model.Params, train.Report) {
	t.Helper()
	p := tinyModel(t)
	cfg := tinyConfig()
	cfg.Epochs, cfg.BatchSize = 1, len(examples)
	if change != nil {
		change(&cfg)
	}
	report, err := Train(context.Background(), p, examples, nil, cfg)
	require.NoError(t, err)
	return p, report
}

// The loss of the first step is the mean over the counted tokens, and over nothing else, as the decoder has them.
func TestLossOnCountedTokensOnly(t *testing.T) {
	examples := copies(1, 6)
	examples[2].Weights[1] = 1 // a token of a prompt that counts
	sum, counted, tokens := 0.0, 0, 0
	for _, e := range examples {
		s, c := nll(t, tinyModel(t), e)
		sum, counted, tokens = sum+s, counted+c, tokens+len(e.Tokens)
	}
	_, report := oneStep(t, examples, nil)
	assert.InDelta(t, sum/float64(counted), report.Loss, 1e-5)
	assert.Equal(t, train.Report{Steps: 1, Tokens: tokens, Loss: report.Loss}, report)
}

// An example of which nothing counts is refused before the first step, wherever it is.
func TestExampleWithoutATokenToLearn(t *testing.T) {
	for _, size := range []int{1, 6} {
		examples, heldOut := copies(1, 6), copies(2, 2)
		examples[3].Weights = make([]float32, len(examples[3].Tokens))
		examples[3].Weights[0] = 1 // nothing predicts the first token
		heldOut[1].Weights = make([]float32, len(heldOut[1].Tokens))
		cfg := tinyConfig()
		cfg.BatchSize, cfg.EvalEvery = size, 1
		cfg.OnStep = func(train.StepInfo) { t.Error("a step") }
		_, err := Train(t.Context(), tinyModel(t), examples, heldOut, cfg)
		assert.ErrorIs(t, err, train.ErrNoTokens)
		assert.ErrorContains(t, err, "sft: item 3: ")
		assert.ErrorContains(t, err, "held-out item 1: ")
	}
}

// What does not count and what nothing that counts can see trains nothing.
func TestUncountedTokensTrainNothing(t *testing.T) {
	examples := copies(2, 4)
	want, _ := oneStep(t, examples, nil)
	changed := slices.Clone(examples)
	for i, e := range changed {
		changed[i] = data.Example{Tokens: append(slices.Clone(e.Tokens), 7, 8), Weights: append(slices.Clone(e.Weights), 0, 0)}
	}
	got, _ := oneStep(t, changed, nil)
	assert.Equal(t, numbers(want), numbers(got))
}

// Order, packing and micro-batches change the weights by rounding only.
func TestPackingDoesNotMatter(t *testing.T) {
	examples := copies(3, 12)
	want, report := oneStep(t, examples, nil)
	for name, change := range map[string]func(*Config){
		"another order":         func(c *Config) { c.Seed = 5 },
		"one example at a time": func(c *Config) { c.MicroTokens, c.MicroSegments = 9, 1 },
		"three micro-batches":   func(c *Config) { c.MicroTokens, c.MicroSegments = 32, 8 },
		"a bigger budget":       func(c *Config) { c.MicroTokens, c.MicroSegments = 500, 100 },
	} {
		got, r := oneStep(t, examples, change)
		assert.InDelta(t, report.Loss, r.Loss, 1e-5, name)
		assert.InDeltaSlice(t, numbers(want), numbers(got), 1e-5, name)
	}
	again, _ := oneStep(t, examples, nil)
	assert.Equal(t, numbers(want), numbers(again), "the same run gives the same bits")
}

// A tiny model learns to copy words that it has not seen in training.
func TestTrainLearns(t *testing.T) {
	p := tinyModel(t)
	heldOut := copies(99, 20)
	mean := func() float64 {
		sum, counted := 0.0, 0
		for _, e := range heldOut {
			s, c := nll(t, p, e)
			sum, counted = sum+s, counted+c
		}
		return sum / float64(counted)
	}
	before := mean()
	cfg := tinyConfig()
	cfg.WarmupSteps = 4
	var steps []train.StepInfo
	cfg.OnStep = func(s train.StepInfo) { steps = append(steps, s) }
	report, err := Train(context.Background(), p, copies(4, 330), nil, cfg)
	require.NoError(t, err)
	assert.Less(t, mean(), 0.6*before)

	require.Len(t, steps, 84, "42 batches, the last of them smaller, twice")
	first, last := steps[0], steps[83]
	assert.Less(t, last.Metrics["loss"], 0.6*first.Metrics["loss"])
	assert.Equal(t, report.Loss, last.Metrics["loss"])
	assert.Equal(t, float64(report.Tokens), last.Metrics["num_tokens"])
	assert.InDelta(t, 2, last.Metrics["epoch"], 1e-12)
	assert.InDelta(t, 1e-2/4, first.Metrics["learning_rate"], 1e-12)
	assert.InDelta(t, 1e-2, steps[4].Metrics["learning_rate"], 1e-12)
	assert.InDelta(t, 1e-3, last.Metrics["learning_rate"], 1e-4)
	assert.Equal(t, 84, last.Total)
	assert.Contains(t, last.Metrics, "entropy")
	assert.Positive(t, last.Metrics["grad_norm"])
}

// A loss of one's own takes the place of NLL: this one pushes the answers away.
func TestCustomLoss(t *testing.T) {
	_, down := oneStep(t, copies(5, 8), nil)
	_, up := oneStep(t, copies(5, 8), func(c *Config) {
		c.Loss = func(in LossInputs) (Terms, error) {
			x := ops.Expr(in.LogProbs.Graph())
			return Terms{Loss: x.MaskedMean(in.LogProbs, in.Mask, in.Tokens)}, x.Err()
		}
	})
	assert.InDelta(t, -down.Loss, up.Loss, 1e-6)

	broken := errors.New("broken")
	cfg := tinyConfig()
	cfg.Loss = func(LossInputs) (Terms, error) { return Terms{}, broken }
	_, err := Train(context.Background(), tinyModel(t), copies(5, 8), nil, cfg)
	assert.ErrorIs(t, err, broken)
	assert.ErrorContains(t, err, "sft: loss: ")
}

func TestTrainRefuses(t *testing.T) {
	good := copies(6, 3)
	for want, bad := range map[string]data.Example{
		"example 3 has 17 tokens, the model's context is 16: leave it out": {Tokens: make([]int32, 17), Weights: make([]float32, 17)},
		"example 3 has 2 tokens and 1 weights":                             {Tokens: []int32{1, 2}, Weights: []float32{1}},
		"example 3 has 0 tokens":                                           {},
		"example 3: model: ":                                               {Tokens: []int32{1, vocab}, Weights: []float32{0, 1}},
	} {
		p := tinyModel(t)
		before := numbers(p)
		_, err := Train(context.Background(), p, append(good, bad), nil, tinyConfig())
		assert.ErrorContains(t, err, want)
		assert.ErrorContains(t, err, "sft: ")
		assert.Equal(t, before, numbers(p), want)
	}
	_, err := Train(context.Background(), tinyModel(t), nil, nil, tinyConfig())
	assert.ErrorIs(t, err, data.ErrEmpty)
	_, err = Train(context.Background(), nil, good, nil, tinyConfig())
	assert.ErrorContains(t, err, "the model is nil")

	cfg := tinyConfig()
	cfg.MicroTokens, cfg.MicroSegments = 4, 1
	_, err = Train(context.Background(), tinyModel(t), copies(6, 30), nil, cfg)
	assert.ErrorIs(t, err, data.ErrTooLong)
	assert.ErrorContains(t, err, "sft: ")

	cfg.MinLRRatio, cfg.WarmupSteps, cfg.BatchSize, cfg.MicroSegments = 2, -1, 0, 5
	err = cfg.Validate()
	for _, field := range []string{"MinLRRatio is 2", "WarmupSteps is -1", "BatchSize is 0", "MicroSegments is 5"} {
		assert.ErrorContains(t, err, field)
	}
	assert.NoError(t, DefaultConfig().Validate())
}

// A context that ends leaves the weights of the last finished step.
func TestCancel(t *testing.T) {
	p := tinyModel(t)
	ctx, cancel := context.WithCancel(context.Background())
	var finished []float32
	cfg := tinyConfig()
	cfg.OnStep = func(s train.StepInfo) {
		if s.Step == 2 {
			finished = numbers(p)
			cancel()
		}
	}
	report, err := Train(ctx, p, copies(7, 40), nil, cfg)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, 2, report.Steps)
	assert.Equal(t, finished, numbers(p))
	assert.NotEqual(t, numbers(tinyModel(t)), finished)
}

// bytewise is a tokenizer that makes a token of every byte.
type bytewise struct{}

func (bytewise) BOS() int32 { return 1 }
func (bytewise) EOS() int32 { return 2 }
func (bytewise) Encode(text string) (ids []int32) {
	for _, b := range []byte(text) {
		ids = append(ids, int32(b))
	}
	return ids
}

// Encode counts all answers, or the last one.
func TestEncode(t *testing.T) {
	tmpl, err := data.Llama2Template(bytewise{})
	require.NoError(t, err)
	dialogs := []data.Conversation{{Messages: []data.Message{
		{Role: data.User, Content: "a"}, {Role: data.Assistant, Content: "one"},
		{Role: data.User, Content: "b"}, {Role: data.Assistant, Content: "two"},
	}}}
	for turns, want := range map[data.Turns]string{data.AllTurns: " one \x02 two \x02", data.LastTurn: " two \x02"} {
		examples, err := Encode(tmpl, dialogs, turns)
		require.NoError(t, err)
		var counted []byte
		for i, id := range examples[0].Tokens {
			if examples[0].Weights[i] == 1 {
				counted = append(counted, byte(id))
			}
		}
		assert.Equal(t, want, string(counted))
	}
	_, err = Encode(tmpl, append(dialogs, data.Conversation{}), data.AllTurns)
	assert.ErrorContains(t, err, "sft: conversation 1")
}

// Every epoch sees every example once, in an order of its own.
// An answer of weight 0 is context: its tokens do not count.
func TestEncodeWeights(t *testing.T) {
	tmpl, err := data.Llama2Template(bytewise{})
	require.NoError(t, err)
	messages := []data.Message{{Role: data.User, Content: "a"}, {Role: data.Assistant, Content: "b"}, {Role: data.User, Content: "c"}, {Role: data.Assistant, Content: "d"}}
	last, err := Encode(tmpl, []data.Conversation{{Messages: messages}}, data.LastTurn)
	require.NoError(t, err)
	weighted, err := Encode(tmpl, []data.Conversation{{Messages: messages, Weights: []float32{0, 0, 0, 1}}}, data.AllTurns)
	require.NoError(t, err)
	assert.Equal(t, last, weighted)
}

func TestEpochs(t *testing.T) {
	cfg := tinyConfig()
	cfg.Optim.LearningRate, cfg.BatchSize = 0, 1 // nothing moves: an example has the same loss in every epoch
	var losses []float64
	cfg.OnStep = func(s train.StepInfo) { losses = append(losses, s.Metrics["loss"]) }
	_, err := Train(context.Background(), tinyModel(t), copies(8, 10), nil, cfg)
	require.NoError(t, err)
	require.Len(t, losses, 20)
	first, second := losses[:10], losses[10:]
	assert.NotEqual(t, first, second)
	assert.ElementsMatch(t, first, second)
}

// Weights reach the loss: the mean is over the sum of the weights, and the decoder agrees. Weights of 1 have the bits of a
// loss that does not read them, however the batch is cut.
func TestTokenWeights(t *testing.T) {
	examples := copies(1, 6)
	for i, e := range examples {
		for j := range e.Weights {
			e.Weights[j] *= float32(1+(i+j)%3) / 2
		}
	}
	sum, total := 0.0, 0.0
	for _, e := range examples {
		for j, w := range e.Weights {
			if w == 0 {
				continue
			}
			one := data.Example{Tokens: e.Tokens, Weights: make([]float32, len(e.Weights))}
			one.Weights[j] = 1
			s, _ := nll(t, tinyModel(t), one)
			sum, total = sum+float64(w)*s, total+float64(w)
		}
	}
	for _, micro := range [][2]int{{128, 16}, {16, 2}} {
		_, report := oneStep(t, examples, func(c *Config) { c.MicroTokens, c.MicroSegments = micro[0], micro[1] })
		assert.InDelta(t, sum/total, report.Loss, 1e-5)
	}

	plain, _ := oneStep(t, copies(1, 6), func(c *Config) {
		c.MicroTokens, c.MicroSegments = 32, 4
		c.Loss = func(in LossInputs) (Terms, error) {
			x := ops.Expr(in.LogProbs.Graph())
			return Terms{Loss: x.Neg(x.MaskedMean(in.LogProbs, in.Mask, in.Tokens))}, x.Err()
		}
	})
	ones, _ := oneStep(t, copies(1, 6), func(c *Config) { c.MicroTokens, c.MicroSegments = 32, 4 })
	assert.Equal(t, numbers(plain), numbers(ones))

	for _, bad := range []float32{-1, float32(math.NaN()), float32(math.Inf(1))} {
		examples[3].Weights[2] = bad
		_, err := Train(context.Background(), tinyModel(t), examples, nil, tinyConfig())
		assert.ErrorContains(t, err, "example 3: token 2 has the weight ")
	}
}
