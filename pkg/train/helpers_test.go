package train_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/train"
)

// tiny is a model that trains in microseconds.
func tiny() model.Config {
	return model.Config{
		Dim: 8, NumLayers: 2, NumHeads: 2, NumKVHeads: 1, HeadDim: 4, HiddenDim: 12, VocabSize: 11,
		MaxSeqLen: 16, NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}
}

func tinyParams(dt tensor.Dtype, seed uint64) *model.Params {
	p := model.NewParams(tiny(), tensor.Float32)
	p.Init(rand.New(rand.NewPCG(seed, 1)))
	return p.As(dt)
}

// sequences draws token sequences of different lengths; the first third of each is not counted.
func sequences(seed uint64, count int) (tokens [][]int32, counted [][]bool) {
	rng := rand.New(rand.NewPCG(seed, 2))
	for range count {
		length := 3 + rng.IntN(6)
		t, c := make([]int32, length), make([]bool, length)
		for i := range t {
			t[i] = rng.Int32N(11)
			c[i] = i >= length/3
		}
		tokens, counted = append(tokens, t), append(counted, c)
	}
	return tokens, counted
}

// ragged packs sequences into one micro-batch of n slots and s segments.
func ragged(t testing.TB, n, s int, tokens [][]int32, counted [][]bool) *data.Ragged {
	t.Helper()
	r := data.NewRagged(n, s)
	for i := range tokens {
		_, err := r.Append(tokens[i], counted[i])
		require.NoError(t, err)
	}
	return r
}

// batches cuts sequences into micro-batches of at most per segments.
func batches(t testing.TB, n, s, per int, tokens [][]int32, counted [][]bool) []*data.Ragged {
	t.Helper()
	var micro []*data.Ragged
	for lo := 0; lo < len(tokens); lo += per {
		hi := min(lo+per, len(tokens))
		micro = append(micro, ragged(t, n, s, tokens[lo:hi], counted[lo:hi]))
	}
	return micro
}

// nll is the mean negative log-likelihood of the counted tokens, with the accuracy-like sum of log-probabilities to log.
func nll(in *model.Inputs, trunk *model.Trunk) (train.Terms, error) {
	logp, err := trunk.LogProbs()
	if err != nil {
		return train.Terms{}, err
	}
	x := ops.Expr(in.G)
	return train.Terms{
		Loss:    x.Neg(x.MaskedMean(logp, in.Mask, in.Scalar(train.ScalarTokens))),
		Metrics: []train.Metric{{Name: "logp", Value: x.MaskedSum(logp, in.Mask)}},
	}, x.Err()
}

// policy makes a network of params named "policy" with the paper's optimiser.
func policy(trunk *model.Trunk, lr float64) train.Network {
	return train.Network{
		Name: "policy", Trunk: trunk, Params: trunk.Params(),
		Optim: optim.DefaultAdamW(), Schedule: optim.Constant{Peak: lr}, MaxGradNorm: 1,
	}
}

// newStep makes a Step that trains params on nll.
func newStep(t testing.TB, p *model.Params, n, s int, lr float64) *train.Step {
	t.Helper()
	in := model.NewInputs(p.DType(), n, s)
	trunk, err := model.NewTrunk(in, p, "policy")
	require.NoError(t, err)
	terms, err := nll(in, trunk)
	require.NoError(t, err)
	step, err := train.NewStep(in, terms, []train.Network{policy(trunk, lr)}, train.Options{})
	require.NoError(t, err)
	return step
}

// numbers copies all weights, in order.
func numbers(p *model.Params) []float64 {
	var all []float64
	for _, q := range p.All() {
		switch x := q.Value.Data().(type) {
		case []float64:
			all = append(all, x...)
		case []float32:
			for _, e := range x {
				all = append(all, float64(e))
			}
		}
	}
	return all
}

// vector makes an input (n) of the graph's dtype.
func vector(g *gorgonia.ExprGraph, name string, n int) *gorgonia.Node {
	return gorgonia.NewVector(g, tensor.Float64, gorgonia.WithName(name), gorgonia.WithShape(n))
}
