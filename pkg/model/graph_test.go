package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/exec"
	"github.com/tame-rlhf/tame/pkg/model/arch"
	"github.com/tame-rlhf/tame/pkg/ops"
)

// outputNames are the results that need some rows of Hidden only.
var outputNames = []string{"log-probs", "entropy", "hits", "counted scores", "segment scores"}

// shortWay is these results as a trunk gives them, from the rows that they need.
func shortWay(t *testing.T, _ *Inputs, trunk *Trunk) gorgonia.Nodes {
	return gorgonia.Nodes{
		node(t)(trunk.LogProbs()), node(t)(trunk.Entropy()), node(t)(trunk.Hits()), node(t)(trunk.CountedScores()), node(t)(trunk.SegmentScores()),
	}
}

// longWay is the same from the whole of Hidden.
func longWay(t *testing.T, in *Inputs, trunk *Trunk) gorgonia.Nodes {
	head := func(h, layout *gorgonia.Node) *gorgonia.Node {
		return node(t)(ops.ScalarHead(h, trunk.node(arch.ScoreWeight), trunk.node(arch.ScoreBias), layout))
	}
	h, w, last := trunk.Hidden, trunk.node("output"), node(t)(ops.LastRows(in.Layout))
	x := ops.Expr(in.G)
	return gorgonia.Nodes{
		node(t)(ops.TokenLogProbs(h, w, in.Targets, in.Mask, in.Temperature, in.Layout)),
		node(t)(ops.Entropy(h, w, in.Targets, in.Mask, in.Temperature, in.Layout)),
		node(t)(ops.TokenHits(h, w, in.Targets, in.Mask, in.Temperature, in.Layout)),
		x.Where(in.Mask, head(h, in.Layout)),
		head(node(t)(ops.Gather(h, last)), last),
	}
}

// randomBatch draws up to 6 segments in 60 slots, of whose tokens that share counts.
func randomBatch(t *testing.T, rng *rand.Rand, share float64) *data.Ragged {
	t.Helper()
	b := data.NewRagged(60, 6)
	for range 1 + rng.IntN(6) {
		tokens := randomTokens(rng, 1+rng.IntN(10), tiny().VocabSize)
		counted := make([]bool, len(tokens))
		for i := range counted {
			counted[i] = rng.Float64() < share
		}
		_, err := b.Append(tokens, counted)
		require.NoError(t, err)
	}
	return b
}

func someBatches(t *testing.T) map[string]*data.Ragged {
	rng := rand.New(rand.NewPCG(61, 61))
	var tens [][]int32
	for range 6 {
		tens = append(tens, randomTokens(rng, 10, tiny().VocabSize))
	}
	batches := map[string]*data.Ragged{"nothing counted": randomBatch(t, rng, 0),
		"full": pack(t, 60, 6, tens...), "empty": data.NewRagged(60, 6)}
	for i := range 8 {
		batches[fmt.Sprint(i)] = randomBatch(t, rng, rng.Float64())
	}
	for _, b := range batches {
		rng := rand.New(rand.NewPCG(63, 63))
		for i := range b.TokenColumn("coef") {
			b.TokenColumn("coef")[i] = float32(rng.NormFloat64())
		}
		for i := range b.SegmentColumn("coef") {
			b.SegmentColumn("coef")[i] = float32(rng.NormFloat64())
		}
	}
	return batches
}

// wayGraph is a program of results and of the gradients of their weighted sum.
type wayGraph struct {
	testGraph
	results, grads gorgonia.Nodes
}

func newWayGraph(t *testing.T, p *Params, way func(*testing.T, *Inputs, *Trunk) gorgonia.Nodes) wayGraph {
	t.Helper()
	g := wayGraph{testGraph: testGraph{in: NewInputs(p.DType(), 60, 6)}}
	var err error
	g.trunk, err = NewTrunk(g.in, p, "policy")
	require.NoError(t, err)
	g.results = way(t, g.in, g.trunk)
	x := ops.Expr(g.in.G)
	loss := x.Sum(x.Mul(g.results[4], g.in.SegmentColumn("coef")))
	for _, i := range []int{0, 1, 3} {
		loss = x.Add(loss, x.Sum(x.Mul(g.results[i], g.in.TokenColumn("coef"))))
	}
	require.NoError(t, x.Err())
	g.grads, err = gorgonia.Grad(loss, g.trunk.ParamNodes()...)
	require.NoError(t, err)
	g.prog, err = exec.Compile(append(append(gorgonia.Nodes{}, g.results...), g.grads...), exec.Options{})
	require.NoError(t, err)
	require.NoError(t, g.trunk.Bind(g.prog))
	return g
}

// What is computed from the last layer's chosen rows has the bits of what is computed from all of them. Gradients are equal up to
// rounding: their sums over rows skip those that add 0, which changes the blocks. What a run with weights of NaN has left in memory changes nothing.
func TestChosenRowsHaveTheBitsOfAll(t *testing.T) {
	one := tiny()
	one.NumLayers = 1
	batches := someBatches(t)
	for _, cfg := range []Config{tiny(), one} {
		for dt, tolerance := range map[tensor.Dtype]float64{tensor.Float32: 1e-5, tensor.Float64: 1e-13} {
			t.Run(fmt.Sprint(cfg.NumLayers, dt), func(t *testing.T) {
				p := randomParams(cfg, dt, 62)
				healthy := p.Clone()
				short, long := newWayGraph(t, p, shortWay), newWayGraph(t, p, longWay)
				for name, batch := range batches {
					results := short.run(t, batch, short.results...)
					for i, want := range long.run(t, batch, long.results...) {
						assert.Equal(t, want, results[i], "batch %s: %s", name, outputNames[i])
					}
					grads := short.run(t, batch, short.grads...)
					for i, want := range long.run(t, batch, long.grads...) {
						assert.LessOrEqual(t, apart(want, grads[i]), tolerance, "batch %s: gradient of %s", name, p.All()[i].Name)
					}

					for _, q := range p.All() {
						require.NoError(t, q.Value.Memset(nanOf(dt)))
					}
					short.run(t, batches["full"])
					for i, q := range healthy.All() {
						require.NoError(t, tensor.Copy(p.All()[i].Value, q.Value))
					}
					assert.Equal(t, results, short.run(t, batch, short.results...), "over NaN: batch %s", name)
					assert.Equal(t, grads, short.run(t, batch, short.grads...), "over NaN: batch %s: gradients", name)
				}
			})
		}
	}
}

func nanOf(dt tensor.Dtype) any {
	if dt == tensor.Float32 {
		return float32(math.NaN())
	}
	return math.NaN()
}

// apart is the norm of the difference relative to that of want, or alone where that is 0.
func apart(want, got []float64) float64 {
	norm, diff := 0.0, 0.0
	for i := range want {
		norm += want[i] * want[i]
		diff += (want[i] - got[i]) * (want[i] - got[i])
	}
	if norm == 0 {
		return math.Sqrt(diff)
	}
	return math.Sqrt(diff / norm)
}
