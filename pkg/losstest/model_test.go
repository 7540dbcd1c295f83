package losstest_test

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/exec"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/ppo"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
	"github.com/tame-rlhf/tame/pkg/sft"
	"github.com/tame-rlhf/tame/pkg/train"
)

// The losses of the project once more, now with a Llama under them.

// modelLosses are the losses on top of a policy and a critic, on the columns that drawPairs draws.
var modelLosses = map[string]func(in *model.Inputs, policy, critic *model.Trunk) (train.Terms, error){
	"sft": func(in *model.Inputs, policy, _ *model.Trunk) (train.Terms, error) {
		n, err := nodesOf(policy.LogProbs, policy.Entropy, policy.Hits)
		if err != nil {
			return train.Terms{}, err
		}
		return sft.NLL(sft.LossInputs{LogProbs: n[0], Entropy: n[1], Hits: n[2], Mask: in.Mask, Tokens: in.Scalar(train.ScalarTokens)})
	},
	"reward model": func(in *model.Inputs, _, critic *model.Trunk) (train.Terms, error) {
		n, err := nodesOf(critic.SegmentScores)
		if err != nil {
			return train.Terms{}, err
		}
		x := ops.Expr(in.G)
		of := func(v *gorgonia.Node, k int) *gorgonia.Node { return x.Stride(v, k, 2) }
		safe, known := in.SegmentColumn("safe"), in.SegmentColumn("known")
		inputs := rewardmodel.LossInputs{
			Chosen: of(n[0], 0), Rejected: of(n[0], 1), Margin: of(in.SegmentColumn("margin"), 0), PairMask: of(in.SegMask, 0),
			ChosenSafe: of(safe, 0), RejectedSafe: of(safe, 1), ChosenKnown: of(known, 0), RejectedKnown: of(known, 1),
			Pairs: x.Scale(in.Scalar(train.ScalarSeqs), 0.5),
		}
		if x.Err() != nil {
			return train.Terms{}, x.Err()
		}
		return rewardmodel.RankingLoss(0.5)(inputs)
	},
	"ppo": func(in *model.Inputs, policy, critic *model.Trunk) (train.Terms, error) {
		n, err := nodesOf(policy.LogProbs, policy.Entropy, critic.CountedScores)
		if err != nil {
			return train.Terms{}, err
		}
		cfg := ppo.DefaultConfig()
		cfg.EntropyCoef, cfg.ValueCoef = 0.05, 0.5
		return ppo.ClippedLoss(cfg)(ppo.LossInputs{
			LogProbs: n[0], Entropy: n[1], Values: n[2], Mask: in.Mask, Tokens: in.Scalar(train.ScalarTokens),
			OldLogProbs: in.TokenColumn("old_logprobs"), Advantages: in.TokenColumn("advantages"),
			Returns: in.TokenColumn("returns"), OldValues: in.TokenColumn("old_values"),
		})
	},
}

// tokenColumns and segmentColumns are what the losses read beside tokens and masks.
var (
	tokenColumns   = []string{"old_logprobs", "advantages", "returns", "old_values"}
	segmentColumns = []string{"margin", "safe", "known"}
)

func nodesOf(build ...func() (*gorgonia.Node, error)) (nodes []*gorgonia.Node, err error) {
	for _, f := range build {
		n, err := f()
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

// sequence is one sequence with its columns, token by token. It is laid out as a branch of the one before if it shares tokens with it.
type sequence struct {
	shared  int
	tokens  []int32
	counted []bool
	token   map[string][]float32
	segment map[string]float32
}

// drawPairs draws pairs of sequences of different lengths, with one pair of which nothing counts. What does not count is 0. The
// second sequence shares first tokens of the first one if it is long enough; these and the next one do not count.
func drawPairs(count int) [][2]sequence {
	rng := rand.New(rand.NewPCG(11, 12))
	pairs := make([][2]sequence, count)
	for i := range pairs {
		for k := range pairs[i] {
			s := sequence{token: map[string][]float32{}, segment: map[string]float32{}}
			length := 2 + rng.IntN(7)
			for t := range length {
				s.tokens = append(s.tokens, rng.Int32N(13))
				s.counted = append(s.counted, t > length/3 && i != 1)
			}
			for _, name := range tokenColumns {
				s.token[name] = make([]float32, length)
				for t := range length - 1 {
					if s.counted[t+1] { // the slot that the action is taken from
						s.token[name][t] = float32(rng.NormFloat64())
					}
				}
			}
			for t, c := range s.counted[1:] {
				if c {
					s.token["old_logprobs"][t] = float32(-math.Log(13) + 0.2*rng.NormFloat64())
				}
			}
			if k == 1 {
				s.shared = min(length/3, len(pairs[i][0].tokens))
				copy(s.tokens, pairs[i][0].tokens[:s.shared])
			}
			s.segment = map[string]float32{"margin": rng.Float32(), "safe": float32(rng.IntN(2)), "known": float32((i + k) % 2)}
			pairs[i][k] = s
		}
	}
	return pairs
}

// micro lays pairs out in a micro-batch.
func micro(t *testing.T, n, s int, pairs [][2]sequence) *data.Ragged {
	t.Helper()
	r := data.NewRagged(n, s)
	for _, name := range tokenColumns {
		r.TokenColumn(name)
	}
	for _, pair := range pairs {
		for _, q := range pair {
			var seg int
			var err error
			if q.shared == 0 {
				seg, err = r.Append(q.tokens, q.counted)
			} else {
				seg, err = r.AppendBranch(q.shared, q.tokens[q.shared:], q.counted[q.shared:])
			}
			require.NoError(t, err)
			lo, _ := r.Span(seg)
			for name, x := range q.token {
				copy(r.TokenColumn(name)[lo:], x[q.shared:])
			}
			for name, x := range q.segment {
				r.SegmentColumn(name)[seg] = x
			}
		}
	}
	return r
}

// modelGraph is a loss, its metrics and the gradients of all weights, compiled.
type modelGraph struct {
	in      *model.Inputs
	params  []*model.Params
	program *exec.Program
	feed    *model.Feed
	names   []string         // of the outputs
	outputs []*gorgonia.Node // loss, metrics, gradients
	first   int              // index of the first gradient
}

func newModelGraph(t *testing.T, loss string, dt tensor.Dtype, n, s int) *modelGraph {
	t.Helper()
	g := &modelGraph{in: model.NewInputs(dt, n, s)}
	var trunks []*model.Trunk
	var wrt []*gorgonia.Node
	var weights []string
	for seed, name := range []string{"policy", "critic"} {
		p := model.NewParams(model.Config{
			Dim: 12, NumLayers: 2, NumHeads: 2, NumKVHeads: 1, HeadDim: 6, HiddenDim: 10, VocabSize: 13, MaxSeqLen: 16,
			NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
		}, tensor.Float32)
		rng := rand.New(rand.NewPCG(uint64(seed), 3))
		if name == "critic" {
			p.AddHead(nil)
			p.DropOutput()
		}
		for _, q := range p.All() {
			for i := range q.Value.Float32s() {
				q.Value.Float32s()[i] = float32(0.3 * rng.NormFloat64())
			}
		}
		p = p.As(dt)
		trunk, err := model.NewTrunk(g.in, p, name)
		require.NoError(t, err)
		trunks, g.params = append(trunks, trunk), append(g.params, p)
		wrt = append(wrt, trunk.ParamNodes()...)
		for _, q := range p.All() {
			weights = append(weights, name+"/"+q.Name)
		}
	}
	terms, err := modelLosses[loss](g.in, trunks[0], trunks[1])
	require.NoError(t, err)
	grads, err := train.Grad(terms.Loss, wrt)
	require.NoError(t, err)
	g.outputs, g.names = []*gorgonia.Node{terms.Loss}, []string{"loss"}
	for _, m := range terms.Metrics {
		if !slices.Contains(g.outputs, m.Value) {
			g.outputs, g.names = append(g.outputs, m.Value), append(g.names, m.Name)
		}
	}
	g.first = len(g.outputs)
	for i, n := range grads {
		if n != nil {
			g.outputs, g.names = append(g.outputs, n), append(g.names, weights[i])
		}
	}
	require.Greater(t, len(g.outputs)-g.first, 14, "the weights of a trunk and more")
	g.program, err = exec.Compile(g.outputs, exec.Options{})
	require.NoError(t, err)
	for _, trunk := range trunks {
		require.NoError(t, trunk.Bind(g.program))
	}
	g.feed, err = g.in.NewFeed(g.program)
	require.NoError(t, err)
	return g
}

// batchScalars are the counts of a whole batch.
func batchScalars(pairs [][2]sequence) map[string]float64 {
	counts := map[string]float64{train.ScalarSeqs: float64(2 * len(pairs)), train.ScalarStep: 0, train.ScalarTokens: 0}
	for _, pair := range pairs {
		for _, s := range pair {
			for _, c := range s.counted {
				if c {
					counts[train.ScalarTokens]++
				}
			}
		}
	}
	return counts
}

// values copies the outputs as float64.
func (g *modelGraph) values(t *testing.T) [][]float64 {
	t.Helper()
	out := make([][]float64, len(g.outputs))
	for i, n := range g.outputs {
		buf, err := g.program.Buffer(n)
		require.NoError(t, err)
		out[i] = slices.Clone(buf.F64)
		for _, x := range buf.F32 {
			out[i] = append(out[i], float64(x))
		}
	}
	return out
}

// run adds up the outputs over micro-batches.
func (g *modelGraph) run(t *testing.T, batches []*data.Ragged, scalars map[string]float64) [][]float64 {
	t.Helper()
	var total [][]float64
	for _, b := range batches {
		require.NoError(t, g.feed.Load(b, scalars))
		require.NoError(t, g.program.Run(context.Background()))
		got := g.values(t)
		if total == nil {
			total = got
			continue
		}
		for i := range got {
			for j, x := range got[i] {
				total[i][j] += x
			}
		}
	}
	return total
}

// spoil runs a full batch on weights of NaN or Inf, and puts the weights back.
func (g *modelGraph) spoil(t *testing.T, poison float32) {
	t.Helper()
	full := data.NewRagged(g.in.N, g.in.S)
	for range g.in.S - g.in.S%2 {
		tokens, counted := make([]int32, g.in.N/g.in.S), make([]bool, g.in.N/g.in.S)
		for i := range counted {
			counted[i] = true
		}
		_, err := full.Append(tokens, counted)
		require.NoError(t, err)
	}
	for _, name := range tokenColumns {
		full.TokenColumn(name)
	}
	for _, name := range segmentColumns {
		full.SegmentColumn(name)
	}
	var keep []*model.Params
	for _, p := range g.params {
		keep = append(keep, p.Clone())
		for _, q := range p.All() {
			for i := range q.Value.Shape().TotalSize() {
				q.Value.Set(i, convert(poison, q.Value.Dtype()))
			}
		}
	}
	g.run(t, []*data.Ragged{full}, batchScalars(nil))
	for k, p := range g.params {
		for i, q := range p.All() {
			require.NoError(t, tensor.Copy(q.Value, keep[k].All()[i].Value))
		}
	}
}

func convert(x float32, dt tensor.Dtype) any {
	if dt == tensor.Float64 {
		return float64(x)
	}
	return x
}

// bound is a value that was bound to a program, with its bits at that time.
type bound struct {
	name  string
	value *tensor.Dense
	bits  []uint64
}

// bitsOf tells NaN from NaN.
func bitsOf(d *tensor.Dense) []uint64 {
	var bits []uint64
	switch x := d.Data().(type) {
	case []float32:
		for _, v := range x {
			bits = append(bits, uint64(math.Float32bits(v)))
		}
	case []float64:
		for _, v := range x {
			bits = append(bits, math.Float64bits(v))
		}
	}
	return bits
}

// bindColumns binds the batch's columns as they are, and lists everything that the program must not write into.
func (g *modelGraph) bindColumns(t *testing.T, b *data.Ragged) (held []bound) {
	t.Helper()
	bind := func(name string, n *gorgonia.Node, x []float32) {
		d := tensor.New(tensor.Of(g.in.DType), tensor.WithShape(len(x)))
		for i, v := range x {
			d.Set(i, convert(v, g.in.DType))
		}
		require.NoError(t, g.program.Bind(n, d))
		held = append(held, bound{name, d, bitsOf(d)})
	}
	for _, name := range g.in.TokenColumns() {
		bind(name, g.in.TokenColumn(name), b.TokenColumn(name))
	}
	for _, name := range g.in.SegmentColumns() {
		bind(name, g.in.SegmentColumn(name), b.SegmentColumn(name))
	}
	bind("mask", g.in.Mask, b.Mask)
	for _, p := range g.params {
		for _, q := range p.All() {
			held = append(held, bound{q.Name, q.Value, bitsOf(q.Value)})
		}
	}
	return held
}
