package ops_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/backend"
	"github.com/tame-rlhf/tame/pkg/ops"
)

type nodes = map[string]*gorgonia.Node

// The ragged batch of the cases: a budget of 8 slots and 4 segments, of which segments of 3, 1 and 2 tokens are used.
const slots, usedN, segs, usedS = 8, 6, 4, 3

var (
	layout  = ints("layout", 3, 0, 3, 4, 6, 6)
	shared  = ints("shared", 0, 0, 0, 0)
	targets = ints("targets", 1, 4, -1, -1, 2, -1, -1, -1)
	tokens  = ints("tokens", 3, 1, 4, 0, 4, 2, 0, 0)
)

// rows draws an (8, c) matrix whose unused rows are 0, as operators leave them.
func rows(rng *rand.Rand, c int) []float64 {
	x := normal(rng, 8*c)
	clear(x[usedN*c:])
	return x
}

func trunkCases() []opCase {
	rng := rand.New(rand.NewPCG(1, 1))
	attention := backend.Heads{NumHeads: 4, NumKVHeads: 2, HeadDim: 6}
	window := attention
	window.Window = 2
	rope := backend.RoPETable[float64](8, attention.HeadDim, 100)
	mask := floats("mask", false, []float64{1, 1, 0, 0, 1, 0, 0, 0}, 8)
	logProbInputs := []input{
		floats("h", true, rows(rng, 4), 8, 4), floats("w", true, normal(rng, 5*4), 5, 4), targets, mask,
		floats("temp", false, []float64{0.7}), layout,
	}
	padded := slices.Clone(logProbInputs) // a row of w is no id
	padded[1] = floats("w", true, normal(rng, 6*4), 6, 4)
	return []opCase{
		{"embed", []input{tokens, floats("w", true, normal(rng, 5*4), 5, 4), layout}, func(n nodes) (*gorgonia.Node, error) {
			return ops.Embed(n["tokens"], n["w"], n["layout"])
		}, usedN * 4},
		{"rmsnorm", []input{floats("x", true, rows(rng, 5), 8, 5), floats("w", true, normal(rng, 5), 5), layout}, func(n nodes) (*gorgonia.Node, error) {
			return ops.RMSNorm(n["x"], n["w"], n["layout"], 1e-5)
		}, usedN * 5},
		{"linear", []input{floats("x", true, rows(rng, 5), 8, 5), floats("w", true, normal(rng, 15), 3, 5), layout}, func(n nodes) (*gorgonia.Node, error) {
			return ops.Linear(n["x"], n["w"], n["layout"])
		}, usedN * 3},
		{"attention", []input{floats("qkv", true, rows(rng, 48), 8, 48), floats("rope", false, rope, 8, 6), layout, shared}, func(n nodes) (*gorgonia.Node, error) {
			return ops.CausalAttention(n["qkv"], n["rope"], n["layout"], n["shared"], attention)
		}, usedN * 24},
		{"attention of branches", []input{floats("qkv", true, rows(rng, 48), 8, 48), floats("rope", false, rope, 8, 6), layout, ints("shared", 0, 2, 3, 0)}, func(n nodes) (*gorgonia.Node, error) {
			return ops.CausalAttention(n["qkv"], n["rope"], n["layout"], n["shared"], attention)
		}, usedN * 24},
		{"attention with a window", []input{floats("qkv", true, rows(rng, 48), 8, 48), floats("rope", false, rope, 8, 6), layout, ints("shared", 0, 2, 3, 0)}, func(n nodes) (*gorgonia.Node, error) {
			return ops.CausalAttention(n["qkv"], n["rope"], n["layout"], n["shared"], window)
		}, usedN * 24},
		{"head norm", []input{floats("qkv", true, rows(rng, 48), 8, 48), floats("q", true, normal(rng, 6), 6), floats("k", true, normal(rng, 6), 6), layout}, func(n nodes) (*gorgonia.Node, error) {
			return ops.HeadNorm(n["qkv"], n["q"], n["k"], n["layout"], attention, 1e-5)
		}, usedN * 48},
		{"swiglu", []input{floats("gu", true, rows(rng, 6), 8, 6), layout}, func(n nodes) (*gorgonia.Node, error) {
			return ops.SwiGLU(n["gu"], n["layout"])
		}, usedN * 3},
		// Add hands its incoming gradient on as it is, so here every row is used.
		{"add", []input{floats("a", true, rows(rng, 3), 8, 3), floats("b", true, rows(rng, 3), 8, 3), ints("layout", 1, 0, 8, 8, 8, 8)}, func(n nodes) (*gorgonia.Node, error) {
			return ops.Add(n["a"], n["b"], n["layout"])
		}, -1},
		{"bias", []input{floats("x", true, rows(rng, 3), 8, 3), floats("b", true, normal(rng, 3), 3), ints("layout", 1, 0, 8, 8, 8, 8)}, func(n nodes) (*gorgonia.Node, error) {
			return ops.Bias(n["x"], n["b"], n["layout"])
		}, -1},
		{"bias of used rows", []input{floats("x", false, rows(rng, 3), 8, 3), floats("b", true, normal(rng, 3), 3), layout}, func(n nodes) (*gorgonia.Node, error) {
			return ops.Bias(n["x"], n["b"], n["layout"])
		}, usedN * 3},
		{"token log-probs", logProbInputs, func(n nodes) (*gorgonia.Node, error) {
			return ops.TokenLogProbs(n["h"], n["w"], n["targets"], n["mask"], n["temp"], n["layout"])
		}, usedN},
		{"entropy", logProbInputs, func(n nodes) (*gorgonia.Node, error) {
			return ops.Entropy(n["h"], n["w"], n["targets"], n["mask"], n["temp"], n["layout"])
		}, usedN},
		{"token log-probs of the first ids", padded, func(n nodes) (*gorgonia.Node, error) {
			return ops.Vocab(n["w"].Shape()[0]-1).TokenLogProbs(n["h"], n["w"], n["targets"], n["mask"], n["temp"], n["layout"])
		}, usedN},
		{"entropy of the first ids", padded, func(n nodes) (*gorgonia.Node, error) {
			return ops.Vocab(n["w"].Shape()[0]-1).Entropy(n["h"], n["w"], n["targets"], n["mask"], n["temp"], n["layout"])
		}, usedN},
		{"scalar head", []input{floats("h", true, rows(rng, 3), 8, 3), floats("w", true, normal(rng, 3), 1, 3), floats("b", true, normal(rng, 1), 1), layout}, func(n nodes) (*gorgonia.Node, error) {
			return ops.ScalarHead(n["h"], n["w"], n["b"], n["layout"])
		}, usedN},
	}
}

func TestTrunk(t *testing.T) {
	for _, c := range trunkCases() {
		t.Run(c.name, func(t *testing.T) { check(t, c) })
	}
}

// Gradients of micro-batches add up: after a run and two that add, there is three times as much.
func TestGradientsAddUp(t *testing.T) {
	for _, c := range trunkCases() {
		t.Run(c.name, func(t *testing.T) {
			once, b := build(t, c, tensor.Float64), buildSums(t, c, tensor.Float64, true)
			once.run(t)
			b.run(t)
			require.NoError(t, b.prog.RunAdd(t.Context()))
			require.NoError(t, b.prog.RunAdd(t.Context()))
			for name, n := range b.grads {
				for i, g := range once.get(t, once.grads[name]) {
					assert.InDelta(t, 3*g, b.get(t, n)[i], 1e-12, "gradient of %s, element %d", name, i)
				}
			}
		})
	}
}

// TestUncountedGradients puts NaN into the gradient that arrives at uncounted slots: nothing of it may come through.
func TestUncountedGradients(t *testing.T) {
	for _, c := range trunkCases() {
		if c.name != "token log-probs" && c.name != "entropy" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			apply := c.apply
			nan := floats("nan", false, []float64{1, 1, nan, nan, 1, nan, nan, nan}, 8)
			c.inputs = append(append([]input(nil), c.inputs...), nan)
			c.apply = func(n nodes) (*gorgonia.Node, error) {
				y, err := apply(n)
				if err != nil {
					return nil, err
				}
				return gorgonia.HadamardProd(y, n["nan"]) // the raw product: its gradient is NaN where nan is
			}
			b := build(t, c, tensor.Float64)
			b.run(t)
			for name, n := range b.grads {
				for i, g := range b.get(t, n) {
					require.False(t, g != g, "gradient of %s is NaN at %d", name, i)
				}
			}
		})
	}
}

// TestTokenHits: with w the identity the hidden state is the logits, and the largest is at 1, 3 and 2.
func TestTokenHits(t *testing.T) {
	identity, h := make([]float64, 25), make([]float64, 8*5)
	for i := range 5 {
		identity[i*6] = 1
	}
	h[0*5+1], h[1*5+3], h[4*5+2] = 1, 1, 1
	c := opCase{"token hits", []input{
		floats("h", false, h, 8, 5), floats("w", false, identity, 5, 5), targets,
		floats("mask", false, []float64{1, 1, 0, 0, 1, 0, 0, 0}, 8), floats("temp", false, []float64{0.7}), layout,
	}, func(n nodes) (*gorgonia.Node, error) {
		return ops.TokenHits(n["h"], n["w"], n["targets"], n["mask"], n["temp"], n["layout"])
	}, usedN}
	b := build(t, c, tensor.Float64)
	b.run(t)
	assert.Equal(t, []float64{1, 0, 0, 0, 1, 0, 0, 0}, b.get(t, b.y)) // targets 1, 4 and 2 of the counted slots
}

func TestShapeErrors(t *testing.T) {
	g := gorgonia.NewGraph()
	x := gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(8, 5), gorgonia.WithName("x"))
	w := gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(3, 4), gorgonia.WithName("w"))
	lay := gorgonia.NewVector(g, tensor.Int32, gorgonia.WithShape(6), gorgonia.WithName("layout"))
	_, err := ops.Linear(x, w, lay)
	var shape *ops.ShapeError
	require.True(t, errors.As(err, &shape))
	assert.Equal(t, "w", shape.Arg)
	assert.EqualError(t, err, "ops: linear: w is (3, 4) float32, want (any, 5) float32")
	_, err = ops.Linear(nil, w, lay)
	assert.EqualError(t, err, "ops: linear: x is nil")
	_, err = ops.CausalAttention(x, w, lay, lay, backend.Heads{NumHeads: 3, NumKVHeads: 2, HeadDim: 2})
	assert.ErrorContains(t, err, "NumHeads a multiple of NumKVHeads")
	qkv := gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(8, 12), gorgonia.WithName("qkv"))
	_, err = ops.CausalAttention(qkv, w, lay, lay, backend.Heads{NumHeads: 1, NumKVHeads: 1, HeadDim: 4})
	assert.EqualError(t, err, "ops: attention: shared is (6) int32, want (4) int32")
}
