package backend_test

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/backend"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/generate"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/train"
)

const layers = 3

func tiny(b backend.Backend, seed uint64) *model.Params {
	p := model.NewParams(model.Config{
		Dim: 8, NumLayers: layers, NumHeads: 2, NumKVHeads: 1, HeadDim: 4, HiddenDim: 12, VocabSize: 11,
		MaxSeqLen: 16, NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}, tensor.Float32)
	rng := rand.New(rand.NewPCG(seed, 1))
	p.Init(rng)
	for _, q := range p.All() { // large enough that what came before matters
		for i := range q.Value.Float32s() {
			q.Value.Float32s()[i] += float32(0.3 * rng.NormFloat64())
		}
	}
	p.AddHead(rng)
	p.SetBackend(b)
	return p
}

// micro is a batch of two micro-batches, of which none is full.
func micro(t *testing.T) []*data.Ragged {
	t.Helper()
	var list []*data.Ragged
	for _, tokens := range [][]int32{{1, 5, 6, 2}, {1, 7, 8, 9, 2}} {
		r := data.NewRagged(16, 4)
		counted := make([]bool, len(tokens))
		for i := range counted {
			counted[i] = i > 1
		}
		_, err := r.Append(tokens, counted)
		require.NoError(t, err)
		list = append(list, r)
	}
	return list
}

// network is a model under training.
func network(name string, trunk *model.Trunk) train.Network {
	return train.Network{Name: name, Trunk: trunk, Optim: optim.DefaultAdamW(), Schedule: optim.Constant{Peak: 1e-2}, MaxGradNorm: 1}
}

// nodes is the graph of a policy and a critic, with a node for everything that a stage asks for.
type nodes struct {
	in                      *model.Inputs
	policy, critic          *model.Trunk
	logProbs, entropy, hits *gorgonia.Node // of the policy
	values, segmentScores   *gorgonia.Node // of the critic
}

func build(t *testing.T, p, q *model.Params) nodes {
	t.Helper()
	must := func(n *gorgonia.Node, err error) *gorgonia.Node {
		t.Helper()
		require.NoError(t, err)
		return n
	}
	n := nodes{in: model.NewInputs(tensor.Float32, 16, 4)}
	var err error
	n.policy, err = model.NewTrunk(n.in, p, "policy")
	require.NoError(t, err)
	n.critic, err = model.NewTrunk(n.in, q, "critic")
	require.NoError(t, err)
	n.logProbs, n.entropy, n.hits = must(n.policy.LogProbs()), must(n.policy.Entropy()), must(n.policy.Hits())
	n.values, n.segmentScores = must(n.critic.CountedScores()), must(n.critic.SegmentScores())
	return n
}

// step trains both networks: the policy on likelihood and entropy, as SFT and PPO do, the critic on
// scores per token and per segment.
func step(t *testing.T, p, q *model.Params) train.Result {
	t.Helper()
	n := build(t, p, q)
	x := ops.Expr(n.in.G)
	tokens := n.in.Scalar(train.ScalarTokens)
	mean := func(v *gorgonia.Node) *gorgonia.Node { return x.MaskedMean(v, n.in.Mask, tokens) }
	ratio := x.Exp(x.Clamp(x.Sub(n.logProbs, x.Detach(n.logProbs)), -1, 1))
	loss := x.Sub(mean(x.Max(x.Neg(ratio), x.Neg(n.logProbs))), x.Scale(mean(n.entropy), 0.1))
	loss = x.Add(loss, mean(x.Square(n.values)))
	loss = x.Add(loss, x.Sum(x.Softplus(n.segmentScores)))
	require.NoError(t, x.Err())
	terms := train.Terms{Loss: loss, Metrics: []train.Metric{{Name: "accuracy", Value: mean(n.hits)}}}
	s, err := train.NewStep(n.in, terms, []train.Network{network("policy", n.policy), network("critic", n.critic)}, train.Options{Recompute: true})
	require.NoError(t, err)
	r, err := s.Run(t.Context(), micro(t))
	require.NoError(t, err)
	return r
}

// What a training step runs is what the backend was asked for, no more and no less.
func TestTrainingIsSeen(t *testing.T) {
	b, seen := count()
	step(t, tiny(b, 1), tiny(b, 2))
	want := []string{"AdamW", "SumSquares"}
	for _, k := range []backend.Kind{
		backend.Embed, backend.EmbedBackward, backend.RMSNorm, backend.RMSNormBackward, backend.Linear, backend.LinearBackwardInput,
		backend.LinearBackwardWeight, backend.Attention, backend.AttentionBackward, backend.SwiGLU, backend.SwiGLUBackward, backend.Add,
		backend.TokenLogProbs, backend.TokenLogProbsBackward, backend.EntropyBackward, backend.ScalarHead, backend.ScalarHeadBackward,
		backend.LastRows, backend.CountedRows, backend.Gather, backend.Scatter, backend.GradientSum,
		backend.Exp, backend.Exp.Derivative(), backend.Clamp, backend.Clamp.Derivative(), backend.Scale, backend.Scale.Derivative(),
		backend.Square, backend.Square.Derivative(), backend.Softplus, backend.Softplus.Derivative(), backend.Detach,
		backend.Minus, backend.Minus.Derivative(), backend.Plus, backend.Plus.Derivative(), backend.Divide, backend.Divide.Derivative(),
		backend.Max, backend.Max.Derivative(), backend.Where, backend.Where.Derivative(),
		backend.Sum, backend.Sum.Derivative(), backend.MaskedSum, backend.MaskedSum.Derivative(),
	} {
		want = append(want, string(k))
	}
	assert.ElementsMatch(t, want, slices.Collect(maps.Keys(seen)))

	// Two networks and two micro-batches. Recomputation repeats all layers but the last.
	assert.Equal(t, 2*2*(layers+layers-1), seen[string(backend.Attention)])
	assert.Equal(t, 2*2*layers, seen[string(backend.AttentionBackward)])
	// Six weights in a layer, embedding and last norm; the policy's output projection, the critic's
	// two of the head.
	weights := 2*(6*layers+2) + 1 + 2
	assert.Equal(t, weights, seen["AdamW"])
	assert.Equal(t, weights, seen["SumSquares"])
}

// A token goes through each layer's kernels once.
func TestDecodingIsSeen(t *testing.T) {
	b, seen := count()
	d, err := model.NewDecoder(tiny(b, 1), 2, 16)
	require.NoError(t, err)
	_, err = d.Forward([]model.Chunk{{Slot: 0, Tokens: []int32{1}}})
	require.NoError(t, err)
	assert.Equal(t, map[string]int{
		"Table.Lookup": 1, "Norm.Apply": 2*layers + 1, "Matrix.Apply": 4*layers + 1, "Cache.Append": layers, "Cache.Attend": layers,
		"SwiGLU": layers, "Add": 2 * layers,
	}, seen)
	clear(seen)
	d.CopySlot(1, 0)
	assert.Equal(t, map[string]int{"Cache.Copy": layers}, seen)
}

// The sampler asks the decoder's backend.
func TestSamplingIsSeen(t *testing.T) {
	b, seen := count()
	cfg := generate.Sampling{MaxNewTokens: 3, Temperature: 0.7, TopP: 0.9, Slots: 2}
	_, err := generate.Generate(t.Context(), tiny(b, 1), []generate.Request{{Prompt: []int32{1, 5}, ID: 1, Samples: 2}}, cfg)
	require.NoError(t, err)
	const drawn = 2 * 3 // tokens
	assert.Equal(t, drawn, seen["Temper"])
	assert.Equal(t, 2*drawn, seen["Max"], "of the logits, and of those at the temperature")
	assert.Equal(t, drawn, seen["Exp"])
	assert.Equal(t, 3*drawn, seen["LogSumExp"], "for the candidates, for TopP and for the draw")
}

// With a backend whose kernels give 0 all results are 0: nothing is computed elsewhere.
func TestNothingIsComputedElsewhere(t *testing.T) {
	zero := &watched{after: func(_ string, results ...[]float32) {
		for _, r := range results {
			clear(r)
		}
	}}
	p, q := tiny(zero, 1), tiny(zero, 2)
	r := step(t, p, q)
	assert.Zero(t, r.Loss)
	assert.Equal(t, map[string]float64{"accuracy": 0}, r.Metrics)
	assert.Equal(t, map[string]float64{"policy": 0, "critic": 0}, r.GradNorm)
	for _, w := range p.All() {
		if w.Name != "score.weight" && w.Name != "score.bias" { // which the loss does not depend on
			assert.Zero(t, slices.Max(w.Value.Float32s()), w.Name)
		}
	}
	d, err := model.NewDecoder(tiny(zero, 1), 1, 16)
	require.NoError(t, err)
	logits, err := d.Forward([]model.Chunk{{Slot: 0, Tokens: []int32{1, 5, 6}}})
	require.NoError(t, err)
	assert.Equal(t, [][]float32{make([]float32, 11)}, logits)
}

// roundBF16 rounds to the nearest number with 8 significant bits, ties to even.
func roundBF16(x float32) float32 {
	bits := math.Float32bits(x)
	return math.Float32frombits((bits + 0x7fff + bits>>16&1) &^ 0xffff)
}

// A backend that rounds after every kernel changes a training step and decoding, by about as much
// as it rounds.
func TestRoundingBackend(t *testing.T) {
	rounded := &watched{after: func(_ string, results ...[]float32) {
		for _, r := range results {
			for i, x := range r {
				r[i] = roundBF16(x)
			}
		}
	}}
	exact := step(t, tiny(nil, 1), tiny(nil, 2))
	p := tiny(rounded, 1)
	rough := step(t, p, tiny(rounded, 2))
	assert.NotEqual(t, exact.Loss, rough.Loss)
	assert.InEpsilon(t, exact.Loss, rough.Loss, 0.01)
	for _, w := range p.Get("norm").Value.Float32s() {
		assert.Equal(t, roundBF16(w), w, "the optimiser's result is rounded too")
	}

	logits := func(b backend.Backend) []float32 {
		d, err := model.NewDecoder(tiny(b, 1), 1, 16)
		require.NoError(t, err)
		out, err := d.Forward([]model.Chunk{{Slot: 0, Tokens: []int32{1, 5, 6}}})
		require.NoError(t, err)
		return out[0]
	}
	plain, got := logits(nil), logits(rounded)
	assert.NotEqual(t, plain, got)
	assert.InDeltaSlice(t, plain, got, 0.05)
}

// The watching alone changes nothing.
func TestWatchedHasTheBits(t *testing.T) {
	b, _ := count()
	assert.Equal(t, step(t, tiny(nil, 1), tiny(nil, 2)), step(t, tiny(b, 1), tiny(b, 2)))
}

// Copies of weights have their backend; networks of one graph and the weights of one decoder have
// one.
func TestOneBackend(t *testing.T) {
	b, _ := count()
	p := tiny(b, 1)
	assert.Same(t, b, p.Clone().Backend())
	in := model.NewInputs(tensor.Float32, 16, 4)
	_, err := model.NewTrunk(in, p, "policy")
	require.NoError(t, err)
	_, err = model.NewTrunk(in, tiny(nil, 2), "critic")
	assert.EqualError(t, err, `model: trunk "critic" is for backend cpu.Backend, the inputs' trunk "policy" for *backend_test.watched: want one for all networks of a graph`)
	d, err := model.NewDecoder(tiny(nil, 1), 1, 16)
	require.NoError(t, err)
	p.DropHead()
	assert.ErrorContains(t, d.SetParams(p), "weights for backend *backend_test.watched, want cpu.Backend")
}
