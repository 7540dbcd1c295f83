package rejection_test

import (
	"context"
	"fmt"
	"log"
	"math/rand/v2"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/rejection"
)

// tinyModel stands in for the newest chat model.
func tinyModel() *model.Params {
	p := model.NewParams(model.Config{
		Dim: 16, NumLayers: 1, NumHeads: 2, NumKVHeads: 2, HeadDim: 8, HiddenDim: 32, VocabSize: 12,
		MaxSeqLen: 16, NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}, tensor.Float32)
	p.Init(rand.New(rand.NewPCG(1, 2)))
	return p
}

var prompts = []data.TokenPrompt{{ID: "three", Tokens: []int32{1, 3}}, {ID: "four", Tokens: []int32{1, 4}}}

// repeats counts how often an answer says the number of its prompt; it stands in for a reward model.
var repeats = data.EachAnswer(func(a data.Answer) (reward float64) {
	for _, id := range a.Tokens {
		if id == a.Prompt.Tokens[1] {
			reward++
		}
	}
	return reward
})

func config() rejection.Config {
	cfg := rejection.DefaultConfig()
	cfg.Samples, cfg.MaxNewTokens, cfg.Stop = 100, 10, []int32{2}
	return cfg
}

func ExampleSample() {
	candidates, err := rejection.Sample(context.Background(), tinyModel(), prompts, repeats, config())
	if err != nil {
		log.Fatal(err)
	}
	for _, w := range rejection.Best(candidates) {
		fmt.Printf("%s: best of %d has reward of at least 2: %v, finished: %v\n", w.Prompt.ID, len(candidates)/2, w.Reward >= 2, w.Finished)
	}
	// Output:
	// three: best of 100 has reward of at least 2: true, finished: true
	// four: best of 100 has reward of at least 2: true, finished: true
}

// From RLHF-V4 on the winners of earlier versions take part.
func ExampleBest() {
	three, four := data.Answer{Prompt: prompts[0], Finished: true}, data.Answer{Prompt: prompts[1], Finished: true}
	pool := []rejection.Candidate{
		{Answer: three, Version: 3, Reward: 0.7},
		{Answer: three, Version: 4, Reward: 0.4},
		{Answer: data.Answer{Prompt: prompts[0]}, Version: 4, Reward: 0.9}, // cut off by the length limit
		{Answer: four, Version: 4, Reward: 0.2},
	}
	for _, w := range rejection.Best(pool) {
		fmt.Printf("%s: version %d, reward %.1f\n", w.Prompt.ID, w.Version, w.Reward)
	}
	// Output:
	// three: version 3, reward 0.7
	// four: version 4, reward 0.2
}

func ExampleTune() {
	cfg := config()
	cfg.Samples = 20
	_, points, err := rejection.Tune(context.Background(), tinyModel(), prompts, repeats, cfg, []float64{0.5, 1})
	if err != nil {
		log.Fatal(err)
	}
	for _, pt := range points {
		fmt.Printf("T = %.1f: the best beats the median: %v\n", pt.Temperature, pt.Max > pt.Median)
	}
	// Output:
	// T = 0.5: the best beats the median: true
	// T = 1.0: the best beats the median: true
}
