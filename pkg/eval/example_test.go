package eval_test

import (
	"context"
	"fmt"
	"log"
	"math/rand/v2"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/model"
)

// tinyModel stands in for a chat model.
func tinyModel(seed uint64) *model.Params {
	p := model.NewParams(model.Config{
		Dim: 16, NumLayers: 1, NumHeads: 2, NumKVHeads: 2, HeadDim: 8, HiddenDim: 32, VocabSize: 12,
		MaxSeqLen: 16, NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}, tensor.Float32)
	p.Init(rand.New(rand.NewPCG(seed, 2)))
	return p
}

func ExampleKL() {
	policy, reference := tinyModel(1), tinyModel(2)
	answers := []eval.Answer{ // sampled from the policy
		{Prompt: []int32{1, 3}, Tokens: []int32{4, 5, 2}},
		{Prompt: []int32{1, 6}, Tokens: []int32{7, 8, 9, 10, 2}},
	}
	kl, err := eval.KL(context.Background(), policy, reference, answers, 1, 64, 8)
	if err != nil {
		log.Fatal(err)
	}
	self, err := eval.KL(context.Background(), policy, policy, answers, 1, 64, 8)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("positive:", kl[0] > 0 && kl[1] > 0, "to itself:", self)
	// Output: positive: true to itself: [0 0]
}

func ExampleMeanOf() {
	rewards := []float64{0.1, 0.4, 0.3, 0.6, 0.2, 0.5}
	m := eval.MeanOf(rewards)
	fmt.Println(m, "of", m.N)
	// Output: 0.350 [0.200, 0.500] of 6
}

func ExampleShareOf() {
	refused := []bool{true, false, false, false, true, false, false, false, false, false}
	before, after := eval.ShareOf(refused), eval.ShareOf(make([]bool, 40))
	fmt.Println(before, "and then", after, "above:", before.Above(after))
	// Output: 0.200 [0.057, 0.510] and then 0.000 [0.000, 0.088] above: false
}
