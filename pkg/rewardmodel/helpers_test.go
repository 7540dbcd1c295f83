package rewardmodel

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/train"
)

const vocab = 12

// tinyModel draws a Llama of width 16 with a scalar head.
func tinyModel(t testing.TB) *model.Params {
	t.Helper()
	cfg := model.Config{
		Dim: 16, NumLayers: 1, NumHeads: 2, NumKVHeads: 1, HeadDim: 8, HiddenDim: 24, VocabSize: vocab, MaxSeqLen: 16,
		NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}
	require.NoError(t, cfg.Validate())
	p := model.NewParams(cfg, tensor.Float32)
	p.Init(rand.New(rand.NewPCG(1, 9)))
	p.AddHead(rand.New(rand.NewPCG(2, 9)))
	return p
}

func tinyConfig() Config {
	cfg := DefaultConfig()
	cfg.Optim = optim.DefaultConfig(1e-2)
	cfg.BatchSize = 16
	cfg.MicroTokens, cfg.MicroSegments = 256, 32
	return cfg
}

// tastes draws pairs of answers of two to four tokens of which the chosen one has a 4 among them and the other one a 5:
// never at its end, where the score is read, so that attention has to find it.
func tastes(seed uint64, count int) []data.Pair {
	rng := rand.New(rand.NewPCG(seed, 3))
	noise := func(n int) []int32 {
		ids := make([]int32, n)
		for i := range ids {
			ids[i] = 6 + rng.Int32N(vocab-6)
		}
		return ids
	}
	pairs := make([]data.Pair, count)
	for i := range pairs {
		answer := func(mark int32) []int32 {
			ids := noise(1 + rng.IntN(3))
			ids[rng.IntN(len(ids))] = mark
			return append(ids, 2)
		}
		pairs[i] = data.Pair{
			Prompt: append([]int32{1}, noise(1+rng.IntN(3))...),
			Chosen: answer(4), Rejected: answer(5),
			Rating: data.Rating(1 + rng.IntN(4)),
		}
	}
	return pairs
}

// numbers copies all weights, in order.
func numbers(p *model.Params) []float32 {
	var all []float32
	for _, q := range p.All() {
		all = append(all, q.Value.Float32s()...)
	}
	return all
}

// newStep is one optimisation step of training.
func newStep(p *model.Params, cfg Config, total int) (*train.Step, error) {
	in := model.NewInputs(tensor.Float32, cfg.MicroTokens, cfg.MicroSegments)
	trunk, err := model.NewTrunk(in, p, "model")
	if err != nil {
		return nil, err
	}
	terms, err := cfg.terms(train.Graph{In: in, Trunk: trunk})
	if err != nil {
		return nil, err
	}
	return train.NewStep(in, terms, []train.Network{{
		Name: "model", Trunk: trunk, Optim: cfg.Optim.AdamW(), Schedule: cfg.Optim.Cosine(cfg.MinLRRatio, cfg.warmup(total), total),
		MaxGradNorm: cfg.Optim.MaxGradNorm,
	}}, train.Options{})
}
