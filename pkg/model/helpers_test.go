package model

import (
	"context"
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/golden"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/exec"
	"github.com/tame-rlhf/tame/pkg/model/arch"
	"github.com/tame-rlhf/tame/pkg/model/internal/file"
)

func goldenModel(t testing.TB, name string) *Params {
	t.Helper()
	p, err := Load(filepath.Join(golden.Dir(t), name))
	require.NoError(t, err)
	return p
}

// tiny is a small model; each size differs from the others, so that swapped ones show.
func tiny() Config {
	return Config{
		Dim: 24, NumLayers: 2, NumHeads: 4, NumKVHeads: 2, HeadDim: 6, HiddenDim: 20, VocabSize: 31, MaxSeqLen: 160,
		NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}
}

// randomParams draws weights large enough that every part of the model matters.
func randomParams(cfg Config, dt tensor.Dtype, seed uint64) *Params {
	rng := rand.New(rand.NewPCG(seed, 1))
	p := NewParams(cfg, tensor.Float64)
	p.AddHead(nil)
	for _, q := range p.All() {
		std := 1 / math.Sqrt(float64(q.Value.Shape()[q.Value.Dims()-1]))
		if q.Name == "embed" || !q.Decay {
			std = 0.5
		}
		fillNormal(q.Value, rng, std)
	}
	return p.As(tensor.Float32).As(dt) // the same numbers in both dtypes
}

func randomTokens(rng *rand.Rand, n, vocab int) []int32 {
	tokens := make([]int32, n)
	for i := range tokens {
		tokens[i] = int32(rng.IntN(vocab))
	}
	return tokens
}

// pack puts sequences into a batch; every predicted token counts.
func pack(t testing.TB, n, s int, sequences ...[]int32) *data.Ragged {
	t.Helper()
	b := data.NewRagged(n, s)
	for _, seq := range sequences {
		counted := make([]bool, len(seq))
		for i := range counted {
			counted[i] = true
		}
		_, err := b.Append(seq, counted)
		require.NoError(t, err)
	}
	return b
}

// decoderLogProbs is log p(token i+1 | tokens up to i), decoded token by token.
func decoderLogProbs(t testing.TB, d *Decoder, slot int, tokens []int32) []float32 {
	t.Helper()
	d.Reset(slot)
	var out []float32
	for i := range len(tokens) - 1 {
		logits, err := d.Forward([]Chunk{{Slot: slot, Tokens: tokens[i : i+1]}})
		require.NoError(t, err)
		out = append(out, logits[0][tokens[i+1]]-d.Backend().Float32().LogSumExp(logits[0]))
	}
	return out
}

// testGraph is a compiled graph of one trunk.
type testGraph struct {
	in    *Inputs
	trunk *Trunk
	prog  *exec.Program
}

// newGraph compiles what outputs asks for of a trunk of p.
func newGraph(t testing.TB, p *Params, n, s int, outputs func(*Inputs, *Trunk) []*gorgonia.Node) testGraph {
	t.Helper()
	in := NewInputs(p.DType(), n, s)
	trunk, err := NewTrunk(in, p, "policy")
	require.NoError(t, err)
	prog, err := exec.Compile(outputs(in, trunk), exec.Options{CheckFinite: true})
	require.NoError(t, err)
	require.NoError(t, trunk.Bind(prog))
	return testGraph{in, trunk, prog}
}

// run gives the values of the nodes as float64.
func (g testGraph) run(t testing.TB, b *data.Ragged, nodes ...*gorgonia.Node) [][]float64 {
	t.Helper()
	require.NoError(t, g.in.Bind(g.prog, b, nil))
	require.NoError(t, g.prog.Run(context.Background()))
	var out [][]float64
	for _, n := range nodes {
		buf, err := g.prog.Buffer(n)
		require.NoError(t, err)
		x := append([]float64(nil), buf.F64...)
		for _, v := range buf.F32 {
			x = append(x, float64(v))
		}
		out = append(out, x)
	}
	return out
}

func node(t testing.TB) func(*gorgonia.Node, error) *gorgonia.Node {
	return func(n *gorgonia.Node, err error) *gorgonia.Node {
		t.Helper()
		require.NoError(t, err)
		return n
	}
}

func fill32(x []float32, v float32) {
	for i := range x {
		x[i] = v
	}
}

// byHFName gives float64 weights under their Hugging Face names.
func byHFName(p *Params) map[string][]float64 {
	named := make(map[string][]float64)
	for _, t := range file.Tensors(arch.Llama(), p.cfg, arch.HF) {
		if p.Get(t.Weight) != nil {
			lo, hi := t.Span()
			named[t.Name] = floats[float64](p.Get(t.Weight).Value)[lo:hi]
		}
	}
	return named
}
