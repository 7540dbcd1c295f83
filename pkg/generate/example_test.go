package generate_test

import (
	"context"
	"fmt"
	"math/rand/v2"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/generate"
	"github.com/tame-rlhf/tame/pkg/model"
)

func ExampleGenerate() {
	p := model.NewParams(model.Config{
		Dim: 16, NumLayers: 1, NumHeads: 2, NumKVHeads: 2, HeadDim: 8, HiddenDim: 32, VocabSize: 100, MaxSeqLen: 32,
		NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}, tensor.Float32)
	p.Init(rand.New(rand.NewPCG(1, 1)))

	cfg := generate.DefaultSampling()
	cfg.MaxNewTokens = 8
	reqs := []generate.Request{
		{Prompt: []int32{1, 17, 23}, ID: 0, Samples: 2},
		{Prompt: []int32{1, 40}, ID: 1, Samples: 1},
	}
	answers, err := generate.Generate(context.Background(), p, reqs, cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, samples := range answers {
		for _, s := range samples {
			fmt.Printf("request %d: %d tokens, finished %v\n", i, len(s.Tokens), s.Finished)
		}
	}
	// Output:
	// request 0: 8 tokens, finished false
	// request 0: 3 tokens, finished true
	// request 1: 8 tokens, finished false
}

func ExampleConverse() {
	p := model.NewParams(model.Config{
		Dim: 16, NumLayers: 1, NumHeads: 2, NumKVHeads: 2, HeadDim: 8, HiddenDim: 32, VocabSize: 100, MaxSeqLen: 64,
		NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}, tensor.Float32)
	p.Init(rand.New(rand.NewPCG(1, 1)))

	cfg := generate.DefaultSampling()
	cfg.MaxNewTokens = 60
	cfg.Stop = []int32{2, 5, 8, 13, 21, 34, 55, 89} // a model that has learned nothing hardly finds the one
	dialog := []generate.TurnRequest{
		{Prompt: []int32{1, 17, 23}, ID: 0},
		{Prompt: []int32{17, 40}, ID: 1},
		{Prompt: []int32{17, 41, 42}, ID: 2},
	}
	answers, err := generate.Converse(context.Background(), p, [][]generate.TurnRequest{dialog}, cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	for t, a := range answers[0] {
		fmt.Printf("turn %d: %d tokens, finished %v\n", t+1, len(a.Tokens), a.Finished)
	}
	// Output:
	// turn 1: 10 tokens, finished true
	// turn 2: 17 tokens, finished true
	// turn 3: 6 tokens, finished true
}

// A ban on two tokens, and on a sequence of two.
func ExampleBan() {
	p := model.NewParams(model.Config{
		Dim: 16, NumLayers: 1, NumHeads: 2, NumKVHeads: 2, HeadDim: 8, HiddenDim: 32, VocabSize: 6, MaxSeqLen: 512,
		NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}, tensor.Float32)
	p.Init(rand.New(rand.NewPCG(1, 1))) // nearly uniform

	cfg := generate.DefaultSampling()
	cfg.Stop = nil
	cfg.Logits = generate.Ban([]int32{0}, []int32{1}, []int32{4, 5})
	answers, err := generate.Generate(context.Background(), p, []generate.Request{{Prompt: []int32{1}, Samples: 1}}, cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	used, fives, after4 := map[int32]bool{}, 0, 0
	tokens := answers[0][0].Tokens
	for i, id := range tokens {
		used[id] = true
		if id == 5 {
			fives++
			if i > 0 && tokens[i-1] == 4 {
				after4++
			}
		}
	}
	fmt.Println(len(tokens), "tokens; 0 and 1 occur:", used[0] || used[1])
	fmt.Println("5 occurs:", fives > 0, "and after a 4:", after4 > 0)
	// Output:
	// 256 tokens; 0 and 1 occur: false
	// 5 occurs: true and after a 4: false
}
