package eval

import (
	"context"
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

const vocab = 12

// tinyModel draws a Llama of that width, with weights so large that its distributions are far from flat.
func tinyModel(t testing.TB, dim int, seed uint64) *model.Params {
	t.Helper()
	cfg := model.Config{
		Dim: dim, NumLayers: 1, NumHeads: 2, NumKVHeads: 1, HeadDim: 8, HiddenDim: 24, VocabSize: vocab, MaxSeqLen: 16,
		NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}
	require.NoError(t, cfg.Validate())
	p := model.NewParams(cfg, tensor.Float32)
	rng := rand.New(rand.NewPCG(seed, 9))
	p.Init(rng)
	for _, q := range p.All() {
		if q.Decay {
			x := q.Value.Float32s()
			for i := range x {
				x[i] = float32(rng.NormFloat64() / 3)
			}
		}
	}
	return p
}

func randomAnswers(seed uint64, count int) []data.Answer {
	rng := rand.New(rand.NewPCG(seed, 3))
	ids := func(n int) []int32 {
		s := make([]int32, n)
		for i := range s {
			s[i] = rng.Int32N(vocab)
		}
		return s
	}
	answers := make([]data.Answer, count)
	for i := range answers {
		answers[i] = data.Answer{Prompt: data.TokenPrompt{Tokens: ids(1 + rng.IntN(4))}, Tokens: ids(1 + rng.IntN(6))}
	}
	return answers
}

// next is the distribution after a sequence, by the decoder.
func next(t testing.TB, p *model.Params, sequence []int32, temperature float64) []float64 {
	t.Helper()
	dec, err := model.NewDecoder(p, 1, len(sequence))
	require.NoError(t, err)
	logits, err := dec.Forward([]model.Chunk{{Tokens: sequence}})
	require.NoError(t, err)
	probs, sum := make([]float64, vocab), 0.0
	for v, z := range logits[0] {
		probs[v] = math.Exp(float64(z) / temperature)
		sum += probs[v]
	}
	for v := range probs {
		probs[v] /= sum
	}
	return probs
}

// bruteForce adds up p log(p/q) over the vocabulary before every token of the answer.
func bruteForce(t testing.TB, p, q *model.Params, a data.Answer, temperature float64) (kl float64) {
	t.Helper()
	for i := range a.Tokens {
		state := slices.Concat(a.Prompt.Tokens, a.Tokens[:i])
		P, Q := next(t, p, state, temperature), next(t, q, state, temperature)
		for v := range P {
			kl += P[v] * math.Log(P[v]/Q[v])
		}
	}
	return kl
}

func TestKLAgainstBruteForce(t *testing.T) {
	p, q := tinyModel(t, 16, 1), tinyModel(t, 24, 2) // the models may be of different size
	answers := randomAnswers(4, 12)
	for _, temperature := range []float64{1, 0.6} {
		got, err := KL(context.Background(), p, q, answers, temperature, 64, 8)
		require.NoError(t, err)
		other, err := KL(context.Background(), q, p, answers, temperature, 16, 2)
		require.NoError(t, err)
		for i, a := range answers {
			want := bruteForce(t, p, q, a, temperature)
			require.Greater(t, want, 0.01)
			assert.InDelta(t, want, got[i], 1e-5*want, "answer %d, T = %v", i, temperature)
			assert.InDelta(t, bruteForce(t, q, p, a, temperature), other[i], 1e-5*other[i], "the other way round")
		}
	}
}

// An answer's KL has the same bits in any company, and is exactly 0 between equal models.
func TestKLDoesNotDependOnPacking(t *testing.T) {
	p, q := tinyModel(t, 16, 1), tinyModel(t, 16, 2)
	answers := randomAnswers(5, 9)
	want, err := KL(context.Background(), p, q, answers, 1, 128, 16)
	require.NoError(t, err)
	got, err := KL(context.Background(), p, q, answers, 1, 10, 1)
	require.NoError(t, err)
	assert.Equal(t, want, got)
	same, err := KL(context.Background(), p, p.Clone(), answers, 1, 128, 16)
	require.NoError(t, err)
	assert.Equal(t, make([]float64, 9), same)
}

func TestKLRefuses(t *testing.T) {
	ctx, p, q := context.Background(), tinyModel(t, 16, 1), tinyModel(t, 16, 2)
	answers := randomAnswers(6, 3)
	refused := func(want string, p, q *model.Params, answers []data.Answer, temperature float64) {
		t.Helper()
		_, err := KL(ctx, p, q, answers, temperature, 16, 2)
		assert.ErrorContains(t, err, want)
		assert.ErrorContains(t, err, "eval: ")
	}
	headless := tinyModel(t, 16, 2)
	headless.DropOutput()
	refused("model q: want float32 weights with an output", p, headless, answers, 1)
	refused("model p: want float32 weights", p.As(tensor.Float64), q, answers, 1)
	refused("temperature is 0", p, q, answers, 0)
	refused("temperature is NaN", p, q, answers, math.NaN())
	refused("sequence 0 has 17 tokens", p, q, []data.Answer{{Prompt: data.TokenPrompt{Tokens: make([]int32, 9)}, Tokens: make([]int32, 8)}}, 1)
	refused("vocabulary", p, q, []data.Answer{{Prompt: data.TokenPrompt{Tokens: []int32{1}}, Tokens: []int32{vocab}}}, 1)
	small := model.NewParams(model.Config{
		Dim: 8, NumLayers: 1, NumHeads: 1, NumKVHeads: 1, HeadDim: 8, HiddenDim: 8, VocabSize: 5, MaxSeqLen: 16,
		NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}, tensor.Float32)
	refused("vocabularies of 12 and 5", p, small, answers, 1)

	none, err := KL(ctx, p, q, nil, 1, 16, 2)
	assert.NoError(t, err)
	assert.Empty(t, none)
	_, err = KL(ctx, p, q, []data.Answer{{}}, 1, 16, 2)
	assert.ErrorContains(t, err, "0 tokens")
	assert.NotErrorIs(t, err, data.ErrTooLong)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = KL(cancelled, p, q, answers, 1, 16, 2)
	assert.ErrorIs(t, err, context.Canceled)
}
