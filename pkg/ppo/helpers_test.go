package ppo

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/optim"
)

// tinyModel draws a Llama of width 16 with weights large enough that its distributions are not flat.
func tinyModel(t testing.TB, vocab, layers int, seed uint64) *model.Params {
	t.Helper()
	cfg := model.Config{
		Dim: 16, NumLayers: layers, NumHeads: 2, NumKVHeads: 1, HeadDim: 8, HiddenDim: 24, VocabSize: vocab, MaxSeqLen: 16,
		NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}
	require.NoError(t, cfg.Validate())
	rng := rand.New(rand.NewPCG(seed, 9))
	p := model.NewParams(cfg, tensor.Float32)
	for _, q := range p.All() {
		x := q.Value.Float32s()
		for i := range x {
			switch {
			case !q.Decay:
				x[i] = 1
			case q.Name == "embed":
				x[i] = float32(rng.NormFloat64())
			default:
				x[i] = float32(rng.NormFloat64() / math.Sqrt(float64(q.Value.Shape()[1])))
			}
		}
	}
	return p
}

// tinyCritic is a model with a head of zeros.
func tinyCritic(t testing.TB, vocab, layers int, seed uint64) *model.Params {
	p := tinyModel(t, vocab, layers, seed)
	p.AddHead(nil)
	return p
}

// tinyConfig is small and quick, without whitening and gate.
func tinyConfig() Config {
	cfg := DefaultConfig()
	cfg.Optim, cfg.CriticOptim = optim.DefaultConfig(3e-3), optim.DefaultConfig(3e-3)
	cfg.Optim.WeightDecay, cfg.CriticOptim.WeightDecay = 0, 0
	cfg.Gate, cfg.WhitenScores, cfg.WhitenAdvantages = false, false, false
	cfg.Unfinished = UnfinishedKeep
	cfg.MicroTokens, cfg.MicroSegments = 256, 64
	cfg.Slots = 128
	return cfg
}

// sequenceProbs is the probability of each token after the prompt, by the decoder: p(answer[t] | prompt, answer[:t]).
func nextProbs(t testing.TB, p *model.Params, sequence []int32) []float64 {
	t.Helper()
	dec, err := model.NewDecoder(p, 1, len(sequence))
	require.NoError(t, err)
	logits, err := dec.Forward([]model.Chunk{{Tokens: sequence}})
	require.NoError(t, err)
	probs, sum := make([]float64, len(logits[0])), 0.0
	for i, z := range logits[0] {
		probs[i] = math.Exp(float64(z))
		sum += probs[i]
	}
	for i := range probs {
		probs[i] /= sum
	}
	return probs
}

// totalVariation is half the sum of the absolute differences.
func totalVariation(p, q []float64) float64 {
	d := 0.0
	for i := range p {
		d += math.Abs(p[i]-q[i]) / 2
	}
	return d
}

// tilted is p exp(r/beta) / Z, what maximises E[r] - beta KL(. || p).
func tilted(p, r []float64, beta float64) []float64 {
	q, sum := make([]float64, len(p)), 0.0
	for i := range p {
		q[i] = p[i] * math.Exp(r[i]/beta)
		sum += q[i]
	}
	for i := range q {
		q[i] /= sum
	}
	return q
}

// rewarderFunc is a Rewarder of one function.
type rewarderFunc func(ctx context.Context, answers []data.Answer) ([]Score, error)

// Score calls the function.
func (f rewarderFunc) Score(ctx context.Context, answers []data.Answer) ([]Score, error) {
	return f(ctx, answers)
}

func iterate(t testing.TB, tr *Trainer, iterations int) (last map[string]float64) {
	t.Helper()
	for range iterations {
		var err error
		last, err = tr.Iterate(context.Background())
		require.NoError(t, err)
	}
	return last
}
