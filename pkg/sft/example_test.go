package sft_test

import (
	"context"
	"fmt"
	"log"
	"math/rand/v2"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/generate"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/sft"
)

// tinyModel stands in for a pretrained model.
func tinyModel() *model.Params {
	p := model.NewParams(model.Config{
		Dim: 16, NumLayers: 1, NumHeads: 2, NumKVHeads: 2, HeadDim: 8, HiddenDim: 32, VocabSize: 12,
		MaxSeqLen: 16, NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}, tensor.Float32)
	p.Init(rand.New(rand.NewPCG(1, 2)))
	return p
}

// successors are examples that answer a number with the two after it: BOS 5 | 6 7 EOS. Only the answer counts.
func successors() []data.Example {
	var examples []data.Example
	for n := int32(3); n < 10; n++ {
		examples = append(examples, data.Join([]int32{1, n}, []int32{n + 1, n + 2, 2}))
	}
	return examples
}

// config is DefaultConfig for a tiny model.
func config() sft.Config {
	cfg := sft.DefaultConfig()
	cfg.Optim = optim.DefaultConfig(1e-2)
	cfg.Epochs = 60
	cfg.MicroTokens, cfg.MicroSegments = 64, 8
	return cfg
}

func ExampleTrain() {
	p := tinyModel()
	report, err := sft.Train(context.Background(), p, successors(), nil, config())
	if err != nil {
		log.Fatal(err)
	}
	greedy := generate.DefaultSampling()
	greedy.Temperature, greedy.MaxNewTokens = 0, 4
	answers, err := generate.Generate(context.Background(), p, []generate.Request{{Prompt: []int32{1, 5}, Samples: 1}}, greedy)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d steps, loss %.1f, after 5 comes %d\n", report.Steps, report.Loss, answers[0][0].Tokens)
	// Output: 60 steps, loss 0.0, after 5 comes [6 7 2]
}

// A loss of one's own: with a bonus for entropy the model stays less sure of itself.
func ExampleConfig_loss() {
	cfg := config()
	cfg.Loss = func(in sft.LossInputs) (sft.Terms, error) {
		x := ops.Expr(in.LogProbs.Graph())
		nll := x.Neg(x.MaskedMean(in.LogProbs, in.Mask, in.Tokens))
		entropy := x.MaskedMean(in.Entropy, in.Mask, in.Tokens)
		return sft.Terms{Loss: x.Sub(nll, x.Scale(entropy, 0.5)), Metrics: []sft.Metric{{Name: "nll", Value: nll}}}, x.Err()
	}
	cfg.OnStep = nil // would be told loss and nll after every step
	report, err := sft.Train(context.Background(), tinyModel(), successors(), nil, cfg)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Steps, "steps, loss below 0:", report.Loss < 0)
	// Output: 60 steps, loss below 0: true
}
