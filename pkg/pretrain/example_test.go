package pretrain_test

import (
	"context"
	"fmt"
	"log"
	"math/rand/v2"
	"strings"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/generate"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/pretrain"
)

// letters is a tokenizer of lower-case text: a is 3, b is 4 and so on.
type letters struct{}

func (letters) BOS() int32 { return 1 }
func (letters) EOS() int32 { return 2 }

func (letters) Encode(text string) (ids []int32) {
	for _, r := range text {
		ids = append(ids, 3+r-'a')
	}
	return ids
}

func (letters) Decode(ids []int32) string {
	var text strings.Builder
	for _, id := range ids {
		if id >= 3 {
			text.WriteRune('a' + id - 3)
		}
	}
	return text.String()
}

func ExampleTrain() {
	p := model.NewParams(model.Config{
		Dim: 16, NumLayers: 1, NumHeads: 2, NumKVHeads: 2, HeadDim: 8, HiddenDim: 32, VocabSize: 29,
		MaxSeqLen: 16, NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}, tensor.Float32)
	p.Init(rand.New(rand.NewPCG(1, 2)))

	docs := pretrain.Encode(letters{}, []string{"llama", "alpaca", "vicuna", "guanaco", "camel"})
	cfg := pretrain.DefaultConfig()
	cfg.Optim = optim.DefaultConfig(1e-2)
	cfg.Steps, cfg.WarmupSteps, cfg.BatchTokens = 80, 5, 40
	cfg.MicroTokens, cfg.MicroSegments = 64, 8
	report, err := pretrain.Train(context.Background(), p, docs, nil, cfg)
	if err != nil {
		log.Fatal(err)
	}

	greedy := generate.DefaultSampling()
	greedy.Temperature, greedy.MaxNewTokens = 0, 10
	prompt := append([]int32{1}, letters{}.Encode("vi")...)
	answers, err := generate.Generate(context.Background(), p, []generate.Request{{Prompt: prompt, Samples: 1}}, greedy)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d steps, loss below 1: %v\n", report.Steps, report.Loss < 1)
	fmt.Println("vi" + letters{}.Decode(answers[0][0].Tokens))
	// Output:
	// 80 steps, loss below 1: true
	// vicuna
}

func ExampleEncode() {
	fmt.Println(pretrain.Encode(letters{}, []string{"abc", "ba"}))
	// Output: [[1 3 4 5 2] [1 4 3 2]]
}
