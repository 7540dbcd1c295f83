package model

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/exec"
	"github.com/tame-rlhf/tame/pkg/ops"
)

func TestInputsRememberNodes(t *testing.T) {
	in := NewInputs(tensor.Float64, 8, 2)
	assert.Same(t, in.TokenColumn("x"), in.TokenColumn("x"))
	assert.NotSame(t, in.TokenColumn("x"), in.TokenColumn("y"))
	// One name in three roles, and the names of the inputs themselves, are different nodes even where shapes agree.
	wide := NewInputs(tensor.Float32, 4, 4)
	seen := map[*gorgonia.Node]bool{}
	for _, n := range []*gorgonia.Node{
		wide.TokenColumn("mask"), wide.SegmentColumn("mask"), wide.Scalar("mask"), wide.Mask, wide.SegMask, wide.Tokens, wide.Targets,
		wide.Segments, wide.Layout, wide.Temperature, wide.TokenColumn("tokens"),
	} {
		assert.False(t, seen[n], n.Name())
		seen[n] = true
	}
	assert.Same(t, wide.Temperature, wide.Scalar("temperature"))
	in.SegmentColumn("s")
	assert.Equal(t, []string{"x", "y"}, in.TokenColumns())
	assert.Equal(t, []string{"s"}, in.SegmentColumns())
	assert.Equal(t, []string{"temperature"}, in.Scalars())
}

func TestTrunkRefuses(t *testing.T) {
	p := randomParams(tiny(), tensor.Float32, 51)
	for want, in := range map[string]*Inputs{
		"0 token slots":    NewInputs(tensor.Float32, 0, 1),
		"9 segments":       NewInputs(tensor.Float32, 8, 9),
		"dtype is int32":   NewInputs(tensor.Int32, 8, 1),
		"with Params.As":   NewInputs(tensor.Float64, 8, 1),
		"-1 token slots":   NewInputs(tensor.Float32, -1, -1),
		"1073741825 token": NewInputs(tensor.Float32, 1<<30+1, 1),
	} {
		_, err := NewTrunk(in, p, "policy")
		assert.ErrorContains(t, err, want)
	}
	_, err := NewTrunk(NewInputs(tensor.Float64, 8, 1), p.As(tensor.Float64), "policy")
	require.NoError(t, err, "as the error says")
	in := NewInputs(tensor.Float32, 8, 1)
	_, err = NewTrunk(in, p, "policy")
	require.NoError(t, err)
	_, err = NewTrunk(in, p, "policy")
	assert.ErrorContains(t, err, `a trunk "policy" already`)

	bare := p.Clone()
	bare.DropHead()
	bare.DropOutput()
	trunk, err := NewTrunk(in, bare, "bare")
	require.NoError(t, err)
	for _, build := range []func() (*gorgonia.Node, error){trunk.LogProbs, trunk.Entropy} {
		_, err = build()
		assert.ErrorContains(t, err, `trunk "bare": no output projection`)
	}
	for _, build := range []func() (*gorgonia.Node, error){trunk.TokenScores, trunk.SegmentScores} {
		_, err = build()
		assert.ErrorContains(t, err, "no scalar head")
	}
}

func TestTrunkRemembers(t *testing.T) {
	in := NewInputs(tensor.Float32, 8, 2)
	p := randomParams(tiny(), tensor.Float32, 52)
	trunk, err := NewTrunk(in, p, "policy")
	require.NoError(t, err)
	for _, build := range []func() (*gorgonia.Node, error){trunk.LogProbs, trunk.Entropy, trunk.TokenScores, trunk.SegmentScores} {
		a, b := node(t)(build()), node(t)(build())
		assert.Same(t, a, b)
	}
	require.Len(t, trunk.ParamNodes(), len(p.All()))
	for i, q := range p.All() {
		assert.Equal(t, "policy/"+q.Name, trunk.ParamNodes()[i].Name())
	}
	assert.Equal(t, "policy", trunk.Name())
	assert.Same(t, p, trunk.Params())
}

// Two models over the same inputs keep their weights apart and share the table of angles.
func TestTwoTrunks(t *testing.T) {
	a, b := randomParams(tiny(), tensor.Float32, 53), randomParams(tiny(), tensor.Float32, 54)
	batch := pack(t, 16, 2, []int32{1, 2, 3, 4, 5}, []int32{6, 7, 8})
	alone := func(p *Params) []float64 {
		var logp *gorgonia.Node
		g := newGraph(t, p, 16, 2, func(_ *Inputs, trunk *Trunk) []*gorgonia.Node {
			logp = node(t)(trunk.LogProbs())
			return []*gorgonia.Node{logp}
		})
		return g.run(t, batch, logp)[0]
	}
	in := NewInputs(tensor.Float32, 16, 2)
	policy, err := NewTrunk(in, a, "policy")
	require.NoError(t, err)
	reference, err := NewTrunk(in, b, "reference")
	require.NoError(t, err)
	outs := []*gorgonia.Node{node(t)(policy.LogProbs()), node(t)(reference.LogProbs())}
	prog, err := exec.Compile(outs, exec.Options{})
	require.NoError(t, err)
	require.NoError(t, policy.Bind(prog))
	require.NoError(t, reference.Bind(prog))
	got := testGraph{in, policy, prog}.run(t, batch, outs...)
	assert.Equal(t, alone(a), got[0])
	assert.Equal(t, alone(b), got[1])
	assert.NotEqual(t, got[0], got[1])
	assert.Len(t, in.ropes, 1)
}

// Two models with other bases of the rotary angles have a table each.
func TestTwoTrunksWithTheirOwnTheta(t *testing.T) {
	cfg := tiny()
	cfg.RopeTheta = 50
	a, b := randomParams(tiny(), tensor.Float64, 53), randomParams(cfg, tensor.Float64, 53) // the same weights
	tokens := []int32{1, 2, 3, 4, 5, 6, 7}
	in := NewInputs(tensor.Float64, 16, 2)
	var outs []*gorgonia.Node
	var trunks []*Trunk
	for i, p := range []*Params{a, b} {
		trunk, err := NewTrunk(in, p, []string{"policy", "reference"}[i])
		require.NoError(t, err)
		trunks, outs = append(trunks, trunk), append(outs, trunk.Hidden)
	}
	prog, err := exec.Compile(outs, exec.Options{})
	require.NoError(t, err)
	for _, trunk := range trunks {
		require.NoError(t, trunk.Bind(prog))
	}
	got := testGraph{in, trunks[0], prog}.run(t, pack(t, 16, 2, tokens), outs...)
	for k, p := range []*Params{a, b} {
		for i, want := range newRef(p).hidden(tokens) {
			assert.InDeltaSlice(t, want, got[k][i*cfg.Dim:][:cfg.Dim], 1e-11, "model %d, token %d", k, i)
		}
	}
}

func TestCheckTokens(t *testing.T) {
	c := tiny()
	assert.NoError(t, c.CheckTokens([]int32{0, int32(c.VocabSize) - 1}))
	assert.ErrorContains(t, c.CheckTokens([]int32{0, int32(c.VocabSize)}), "token 1 is 31, outside of the vocabulary of 31")
	assert.ErrorContains(t, c.CheckTokens([]int32{-1}), "token 0 is -1")
}

// feedGraph compiles a sum over what a loss may use, without a trunk's weights in it.
func feedGraph(t *testing.T, dt tensor.Dtype) (*Inputs, []*gorgonia.Node, *exec.Program) {
	t.Helper()
	in := NewInputs(dt, 6, 3)
	_, err := NewTrunk(in, randomParams(tiny(), dt, 55), "policy")
	require.NoError(t, err)
	x := ops.Expr(in.G)
	outs := []*gorgonia.Node{
		x.Scale(in.TokenColumn("adv"), 1), x.Scale(in.SegmentColumn("reward"), 1), x.Scale(in.Scalar("step"), 1),
		x.Scale(in.Mask, 1), x.Scale(in.SegMask, 1), x.Scale(in.Temperature, 1),
	}
	require.NoError(t, x.Err())
	prog, err := exec.Compile(outs, exec.Options{})
	require.NoError(t, err)
	return in, outs, prog
}

func TestFeedSelectsOnTheHost(t *testing.T) {
	nan := float32(math.NaN())
	for _, dt := range []tensor.Dtype{tensor.Float32, tensor.Float64} {
		in, outs, prog := feedGraph(t, dt)
		in.TokenColumn("made later, not needed")
		b := data.NewRagged(6, 3)
		_, err := b.Append([]int32{1, 2, 3}, []bool{false, false, true})
		require.NoError(t, err)
		copy(b.TokenColumn("adv"), []float32{1, -2, 3, nan, nan, nan})
		copy(b.SegmentColumn("reward"), []float32{0.5, nan, nan})
		f, err := in.NewFeed(prog)
		require.NoError(t, err)
		full := pack(t, 6, 3, []int32{9, 9, 9}, []int32{9, 9}, []int32{9}) // whose numbers must be gone afterwards
		fill32(full.TokenColumn("adv"), 9)
		fill32(full.SegmentColumn("reward"), 9)
		require.NoError(t, f.Load(full, map[string]float64{"step": 9}))
		check := func(scalars map[string]float64, temp float64) {
			t.Helper()
			require.NoError(t, f.Load(b, scalars))
			require.NoError(t, prog.Run(t.Context()))
			for i, want := range [][]float64{{1, -2, 3, 0, 0, 0}, {0.5, 0, 0}, {7}, {0, 1, 0, 0, 0, 0}, {1, 0, 0}, {temp}} {
				buf, err := prog.Buffer(outs[i])
				require.NoError(t, err)
				assert.Equal(t, want, append(widen(buf.F32), buf.F64...))
			}
		}
		check(map[string]float64{"step": 7}, 1)
		check(map[string]float64{"step": 7, "temperature": 0.5, "unknown": 3}, 0.5)
		check(map[string]float64{"step": 7}, 1) // nothing of the last batch is left
		scalars := map[string]float64{"step": 7}
		assert.Zero(t, testing.AllocsPerRun(10, func() { _ = f.Load(b, scalars) }))
	}
}

func TestFeedRefuses(t *testing.T) {
	in, _, prog := feedGraph(t, tensor.Float32)
	f, err := in.NewFeed(prog)
	require.NoError(t, err)
	scalars := map[string]float64{"step": 1}
	fresh := func() *data.Ragged {
		b := pack(t, 6, 3, []int32{1, 2, 3})
		b.TokenColumn("adv")
		b.SegmentColumn("reward")
		return b
	}
	require.NoError(t, f.Load(fresh(), scalars))
	for want, b := range map[string]*data.Ragged{
		`token column "adv", which the batch does not`: pack(t, 6, 3, []int32{1}),
		"batch for 7 slots and 3 segments":             data.NewRagged(7, 3),
		"token 31 at slot 0 is outside of the vocab":   pack(t, 6, 3, []int32{31, 1}),
	} {
		assert.ErrorContains(t, f.Load(b, scalars), want)
	}
	for want, change := range map[string]func(*data.Ragged){
		`segment column "reward"`:         func(b *data.Ragged) { delete(b.SegmentColumns, "reward") },
		`"adv" has 2 values, want 6`:      func(b *data.Ragged) { b.TokenColumns["adv"] = make([]float32, 2) },
		"target -1 at slot 2, which coun": func(b *data.Ragged) { b.Mask[2] = 1 },
		"target 99 at slot 0":             func(b *data.Ragged) { b.Targets[0] = 99 },
		"malformed":                       func(b *data.Ragged) { b.Layout[4] = 7 },
		"segment 0 lies at slots 0 to 0":  func(b *data.Ragged) { b.Layout[2] = 0 },
		"continues 1 tokens of a root of": func(b *data.Ragged) { b.Shared[0] = 1 },
		"segment 0 continues -1 tokens":   func(b *data.Ragged) { b.Shared[0] = -1 },
		"3 segments used is malformed":    func(b *data.Ragged) { b.Shared = b.Shared[:2] },
	} {
		b := fresh()
		change(b)
		assert.ErrorContains(t, f.Load(b, scalars), want)
	}
	assert.ErrorContains(t, f.Load(fresh(), nil), `scalar "step"`)
	for _, temp := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		assert.ErrorContains(t, f.Load(fresh(), map[string]float64{"step": 1, "temperature": temp}), "positive")
	}
	_, err = NewInputs(tensor.Float32, 0, 0).NewFeed(prog)
	assert.ErrorContains(t, err, "0 token slots")

	short := tiny()
	short.MaxSeqLen = 4
	in = NewInputs(tensor.Float32, 6, 3)
	trunk, err := NewTrunk(in, randomParams(short, tensor.Float32, 56), "policy")
	require.NoError(t, err)
	prog, err = exec.Compile([]*gorgonia.Node{trunk.Hidden}, exec.Options{})
	require.NoError(t, err)
	require.NoError(t, in.Bind(prog, pack(t, 6, 3, []int32{1, 2, 3, 4}, []int32{1}), nil))
	assert.ErrorContains(t, in.Bind(prog, pack(t, 6, 3, []int32{1, 2, 3, 4, 5}), nil), "5 tokens, the model's MaxSeqLen is 4")
	long := pack(t, 6, 3, []int32{1, 2, 3})
	_, err = long.AppendBranch(3, []int32{4, 5}, nil)
	require.NoError(t, err)
	assert.ErrorContains(t, in.Bind(prog, long, nil), "segment 1 has 5 tokens, the model's MaxSeqLen is 4")
}

// A weight that was dropped after the graph was built is an error only where it is needed.
func TestBindDroppedWeight(t *testing.T) {
	p := randomParams(tiny(), tensor.Float32, 57)
	in := NewInputs(tensor.Float32, 6, 3)
	trunk, err := NewTrunk(in, p, "policy")
	require.NoError(t, err)
	withHead, err := exec.Compile([]*gorgonia.Node{node(t)(trunk.TokenScores())}, exec.Options{})
	require.NoError(t, err)
	without, err := exec.Compile([]*gorgonia.Node{node(t)(trunk.LogProbs())}, exec.Options{})
	require.NoError(t, err)
	p.DropHead()
	assert.ErrorContains(t, trunk.Bind(withHead), "score.weight was dropped")
	assert.NoError(t, trunk.Bind(without))
}

// The same segment gives the same bits wherever it lies and whatever lies beside it.
func TestPackingDoesNotContaminate(t *testing.T) {
	p := randomParams(tiny(), tensor.Float32, 58)
	rng := rand.New(rand.NewPCG(1, 1))
	seq := randomTokens(rng, 20, 31)
	var outs []*gorgonia.Node
	g := newGraph(t, p, 80, 4, func(_ *Inputs, trunk *Trunk) []*gorgonia.Node {
		outs = []*gorgonia.Node{node(t)(trunk.LogProbs()), node(t)(trunk.TokenScores())}
		return outs
	})
	alone := g.run(t, pack(t, 80, 4, seq), outs...)
	beside := g.run(t, pack(t, 80, 4, randomTokens(rng, 33, 31), seq, randomTokens(rng, 9, 31)), outs...)
	for i := range outs {
		assert.Equal(t, alone[i][:20], beside[i][33:53])
	}
}

// A branch has the bits of its whole sequence, in everything that is computed of its own tokens; and the root those that it has alone.
func TestBranchesHaveTheBitsOfSequences(t *testing.T) {
	p := randomParams(tiny(), tensor.Float32, 59)
	rng := rand.New(rand.NewPCG(1, 1))
	root, shared := randomTokens(rng, 20, 31), 13
	var outs []*gorgonia.Node
	g := newGraph(t, p, 80, 6, func(_ *Inputs, trunk *Trunk) []*gorgonia.Node {
		outs = []*gorgonia.Node{trunk.Hidden, node(t)(trunk.LogProbs()), node(t)(trunk.Entropy()), node(t)(trunk.CountedScores()), node(t)(trunk.SegmentScores())}
		return outs
	})
	width := []int{p.Config().Dim, 1, 1, 1}
	b := pack(t, 80, 6, randomTokens(rng, 5, 31), root)
	answers := [][]int32{randomTokens(rng, 1, 31), randomTokens(rng, 17, 31), randomTokens(rng, 9, 31)}
	for _, answer := range answers {
		counted := make([]bool, len(answer))
		for i := range counted {
			counted[i] = true
		}
		_, err := b.AppendBranch(shared, answer, counted)
		require.NoError(t, err)
	}
	got := g.run(t, b, outs...)
	same := func(seg, shared int, sequence []int32) {
		want := g.run(t, pack(t, 80, 6, sequence), outs...)
		lo, hi := b.Span(seg)
		for i, w := range width {
			assert.Equal(t, want[i][shared*w:len(sequence)*w], got[i][lo*w:hi*w], "segment %d, output %d", seg, i)
		}
		assert.Equal(t, want[len(width)][0], got[len(width)][seg], "score of segment %d", seg)
	}
	same(1, 0, root)
	for i, answer := range answers {
		same(2+i, shared, slices.Concat(root[:shared], answer))
	}
}
