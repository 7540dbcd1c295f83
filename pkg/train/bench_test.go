package train_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/train"
)

// benchModel is a model and the micro-batch of a training step: sequences of length tokens each.
type benchModel struct {
	name                                string
	dim, layers, heads, kvHeads, hidden int
	vocab, sequences, length            int
	empty                               int // further sequences that the micro-batch has room for
}

// benchModels are the model of quickstart, with a full micro-batch and one as its SFT has them, and four shapes of Llama 2's family, as other
// programs are timed with them.
var benchModels = []benchModel{
	{"quickstart", 128, 4, 4, 2, 352, 768, 32, 64, 0},
	{"quickstart_part", 128, 4, 4, 2, 352, 768, 12, 64, 20},
	{"15m_v4k", 288, 6, 6, 6, 768, 4096, 8, 256, 0},
	{"15m", 288, 6, 6, 6, 768, 32000, 4, 256, 0},
	{"42m", 512, 8, 8, 8, 1376, 32000, 2, 512, 0},
	{"110m", 768, 12, 12, 12, 2048, 32000, 1, 1024, 0},
}

// flops of a training step: 6 for each weight but the embedding and each token, and attention over whole rows, as is the custom.
func (m benchModel) flops() float64 {
	d, kv := float64(m.dim), float64(m.dim/m.heads*m.kvHeads)
	weights := float64(m.layers)*(2*d*d+2*d*kv+3*d*float64(m.hidden)) + d*float64(m.vocab)
	tokens := float64(m.sequences * m.length)
	return tokens * (6*weights + 12*float64(m.layers)*d*float64(m.length))
}

// step builds a language model's training step and a micro-batch for it.
func (m benchModel) step(tb testing.TB, opts train.Options) (*train.Step, []*data.Ragged) {
	cfg := model.Config{
		Dim: m.dim, NumLayers: m.layers, NumHeads: m.heads, NumKVHeads: m.kvHeads, HeadDim: m.dim / m.heads, HiddenDim: m.hidden,
		VocabSize: m.vocab, MaxSeqLen: m.length, NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}
	n := (m.sequences + m.empty) * m.length
	rng := rand.New(rand.NewPCG(1, 2))
	p := model.NewParams(cfg, tensor.Float32)
	p.Init(rng)
	in := model.NewInputs(tensor.Float32, n, m.sequences+m.empty)
	trunk, err := model.NewTrunk(in, p, "model")
	require.NoError(tb, err)
	logProbs, err := trunk.LogProbs()
	require.NoError(tb, err)
	x := ops.Expr(in.G)
	loss := x.Neg(x.MaskedMean(logProbs, in.Mask, in.Scalar(train.ScalarTokens)))
	step, err := train.NewStep(in, train.Terms{Loss: loss}, []train.Network{{
		Name: "model", Trunk: trunk, Params: p, Optim: optim.DefaultAdamW(),
		Schedule: optim.Constant{Peak: 1e-3}, MaxGradNorm: 1,
	}}, opts)
	require.NoError(tb, err)
	micro := data.NewRagged(n, m.sequences+m.empty)
	counted := make([]bool, m.length)
	for i := range counted {
		counted[i] = true
	}
	for range m.sequences {
		tokens := make([]int32, m.length)
		for i := range tokens {
			tokens[i] = rng.Int32N(int32(m.vocab))
		}
		_, err := micro.Append(tokens, counted)
		require.NoError(tb, err)
	}
	return step, []*data.Ragged{micro}
}

// BenchmarkStep is one training step: forward, loss, backward, clip, AdamW. With -v it prints the time of every operator.
func BenchmarkStep(b *testing.B) {
	for _, m := range benchModels {
		b.Run(m.name, func(b *testing.B) { m.bench(b, train.Options{Timing: testing.Verbose()}) })
	}
}

// BenchmarkRecompute is BenchmarkStep with layers computed again for the backward pass.
func BenchmarkRecompute(b *testing.B) {
	for _, m := range benchModels {
		b.Run(m.name, func(b *testing.B) { m.bench(b, train.Options{Timing: testing.Verbose(), Recompute: true}) })
	}
}

func (m benchModel) bench(b *testing.B, opts train.Options) {
	step, micro := m.step(b, opts)
	_, err := step.Run(context.Background(), micro) // touches all memory once
	require.NoError(b, err)
	warm := step.Timings()
	b.ReportAllocs()
	for b.Loop() {
		_, err := step.Run(context.Background(), micro)
		require.NoError(b, err)
	}
	perStep := b.Elapsed().Seconds() / float64(b.N)
	b.ReportMetric(float64(m.sequences*m.length)/perStep, "tokens/s")
	b.ReportMetric(m.flops()/perStep/1e9, "GFLOP/s")
	b.ReportMetric(float64(step.Memory().Intermediates)/1e6, "arena-MB")
	var sum time.Duration
	for op, spent := range step.Timings() {
		spent -= warm[op]
		sum += spent
		b.Logf("%9.3f ms  %5.1f %%  %s", spent.Seconds()*1e3/float64(b.N), 100*spent.Seconds()/b.Elapsed().Seconds(), op)
	}
	if sum > 0 {
		b.Logf("%9.3f ms  in operators", sum.Seconds()*1e3/float64(b.N))
	}
}
