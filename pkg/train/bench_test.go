package train_test

import (
	"context"
	"math/rand/v2"
	"testing"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/train"
)

// BenchmarkStep is a training step of quickstart's model: 2048 tokens in segments of 64, a million weights.
func BenchmarkStep(b *testing.B) {
	cfg := model.Config{
		Dim: 128, NumLayers: 4, NumHeads: 4, NumKVHeads: 2, HeadDim: 32, HiddenDim: 352,
		VocabSize: 768, MaxSeqLen: 128, NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}
	const n, length = 2048, 64
	rng := rand.New(rand.NewPCG(1, 2))
	p := model.NewParams(cfg, tensor.Float32)
	p.Init(rng)
	in := model.NewInputs(tensor.Float32, n, n/length)
	trunk, err := model.NewTrunk(in, p, "model")
	if err != nil {
		b.Fatal(err)
	}
	logProbs, err := trunk.LogProbs()
	if err != nil {
		b.Fatal(err)
	}
	x := ops.Expr(in.G)
	loss := x.Neg(x.MaskedMean(logProbs, in.Mask, in.Scalar(train.ScalarTokens)))
	step, err := train.NewStep(in, train.Terms{Loss: loss}, []train.Network{{
		Name: "model", Trunk: trunk, Params: p, Optim: optim.DefaultAdamW(),
		Schedule: optim.Constant{Peak: 1e-3}, MaxGradNorm: 1,
	}}, train.Options{Timing: true})
	if err != nil {
		b.Fatal(err)
	}
	micro := data.NewRagged(n, n/length)
	counted := make([]bool, length)
	for i := range counted {
		counted[i] = true
	}
	for range n / length {
		tokens := make([]int32, length)
		for i := range tokens {
			tokens[i] = rng.Int32N(int32(cfg.VocabSize))
		}
		if _, err := micro.Append(tokens, counted); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := step.Run(context.Background(), []*data.Ragged{micro}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
	if testing.Verbose() {
		for op, spent := range step.Timings() {
			b.Logf("%8.3f ms  %s", spent.Seconds()*1e3/float64(b.N), op)
		}
	}
}
