package ppo

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/ops"
)

// numbered gives every answer its place in the batch as an extra column.
var numbered = rewarderFunc(func(_ context.Context, answers []data.Answer) ([]Score, error) {
	scores := make([]Score, len(answers))
	for i := range answers {
		scores[i].Extra = map[string]float64{"number": float64(i)}
	}
	return scores, nil
})

// visits is a loss that logs which answer each optimisation step sees, for mini-batches of one answer.
func visits(cfg Config, steps int) Loss {
	return func(in LossInputs) (Terms, error) {
		terms, err := ClippedLoss(cfg)(in)
		if err != nil {
			return terms, err
		}
		x := ops.Expr(in.LogProbs.Graph())
		number := x.MaskedSum(in.Extra["number"], in.SegMask)
		for k := range steps {
			is := x.Mul(x.Greater(in.Step, x.Const(float64(k)-0.5, in.Step)), x.Greater(x.Const(float64(k)+0.5, in.Step), in.Step))
			terms.Metrics = append(terms.Metrics, Metric{Name: fmt.Sprint("visit/", k), Value: x.Mul(number, is)})
		}
		return terms, x.Err()
	}
}

// TestOrderOfEpochs wants every answer once in each epoch, and no two epochs of a run in the same order: that of the
// key that resumed runs rely on.
func TestOrderOfEpochs(t *testing.T) {
	const n, epochs, iterations = 8, 3, 3
	cfg := smallConfig()
	cfg.Iterations, cfg.BatchSize, cfg.MiniBatch, cfg.Epochs, cfg.Seed = iterations, n, 1, epochs, 11
	cfg.ExtraSegment = []string{"number"}
	cfg.Loss = visits(cfg, iterations*epochs*n)
	tr := newTiny(t, cfg, numbered)
	var orders [][]int
	for i := range iterations {
		m := iterate(t, tr, 1)
		for epoch := range epochs {
			order := make([]int, n)
			for k := range order {
				step := (i*epochs+epoch)*n + k
				order[k] = int(math.Round(m[fmt.Sprint("visit/", step)] * epochs * n)) // a mean over the iteration's steps
			}
			assert.Equal(t, data.Shuffled(n, ^uint64(11), i*epochs+epoch), order, "iteration %d, epoch %d", i, epoch)
			orders = append(orders, order)
		}
	}
	for i, order := range orders {
		sorted := slices.Sorted(slices.Values(order))
		assert.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7}, sorted)
		for _, other := range orders[:i] {
			assert.NotEqual(t, other, order)
		}
	}
}

// TestPromptsOfIterations wants iterations to go through the prompts one after the other, with all samples of one
// together and new random numbers in each.
func TestPromptsOfIterations(t *testing.T) {
	cfg := smallConfig()
	cfg.Iterations, cfg.BatchSize, cfg.MiniBatch, cfg.SamplesPerPrompt, cfg.CriticWarmup = 5, 6, 6, 2, 5
	var asked []data.TokenPrompt
	answers := map[string]bool{}
	cfg.OnSamples = func(_ int, list []data.Answer, _ []Score) {
		for i, a := range list {
			answers[string(textOf(a))] = true
			if i%2 == 0 {
				asked = append(asked, a.Prompt)
				assert.Equal(t, a.Prompt, list[i+1].Prompt)
			}
		}
	}
	prompts := make([]data.TokenPrompt, 5)
	for i := range prompts {
		prompts[i] = data.TokenPrompt{ID: fmt.Sprint(i), Tokens: []int32{1}} // one question under five names
	}
	tr, err := New(tinyModel(t, 9, 1, 1), tinyCritic(t, 9, 1, 2), prompts, nil, sevens, cfg)
	require.NoError(t, err)
	iterate(t, tr, 5)
	require.Len(t, asked, 15)
	for pass := range slices.Chunk(asked, 5) {
		assert.ElementsMatch(t, prompts, pass)
	}
	assert.NotEqual(t, asked[:5], asked[5:10])
	assert.Greater(t, len(answers), 25, "30 answers of up to six tokens to one question are nearly all different")

	cfg.Seed, cfg.OnSamples = 1, nil
	other, err := New(tinyModel(t, 9, 1, 1), tinyCritic(t, 9, 1, 2), prompts, nil, sevens, cfg)
	require.NoError(t, err)
	assert.NotEqual(t, tr.draw(0, 15), other.draw(0, 15), "the seed decides the order")
	sample := func(tr *Trainer) []data.Answer {
		list, err := tr.sample(t.Context(), prompts, 0, 1)
		require.NoError(t, err)
		return list
	}
	other.policy = tr.policy
	assert.NotEqual(t, sample(tr), sample(other), "the seed decides the answers")
}
