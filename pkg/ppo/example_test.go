package ppo_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/ppo"
)

// exampleModels are a policy and a critic small enough to train while one reads.
func exampleModels() (policy, critic *model.Params) {
	shape := model.Config{
		Dim: 16, NumLayers: 1, NumHeads: 2, NumKVHeads: 2, HeadDim: 8, HiddenDim: 32, VocabSize: 10, MaxSeqLen: 16,
		NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
	}
	policy, critic = model.NewParams(shape, tensor.Float32), model.NewParams(shape, tensor.Float32)
	policy.Init(rand.New(rand.NewPCG(1, 1)))
	critic.Init(rand.New(rand.NewPCG(2, 2)))
	critic.AddHead(nil) // a value function that starts at 0
	return policy, critic
}

func exampleConfig() ppo.Config {
	cfg := ppo.DefaultConfig()
	cfg.Iterations, cfg.BatchSize, cfg.MiniBatch, cfg.MaxNewTokens = 30, 64, 16, 4
	cfg.Optim.LearningRate, cfg.CriticOptim.LearningRate = 1e-2, 1e-2 // the model is tiny
	cfg.Gate = false                                                  // one reward
	cfg.Stop, cfg.Unfinished = nil, ppo.UnfinishedKeep                // four tokens, always
	cfg.MicroTokens, cfg.MicroSegments = 512, 64
	return cfg
}

// likesSeven gives a point for each 7.
var likesSeven = ppo.FromReward(data.EachAnswer(func(a data.Answer) float64 {
	score := 0.0
	for _, id := range a.Tokens {
		if id == 7 {
			score++
		}
	}
	return score
}))

func ExampleTrain() {
	policy, critic := exampleModels()
	prompts := []data.TokenPrompt{{Tokens: []int32{1, 4}}, {Tokens: []int32{1, 5, 5}}}
	heldOut := []data.TokenPrompt{{Tokens: []int32{1, 6}}, {Tokens: []int32{1, 4, 5}}, {Tokens: []int32{1, 3}}}

	report, err := ppo.Train(context.Background(), policy, critic, prompts, heldOut, likesSeven, exampleConfig())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("iterations:", report.Iterations)
	fmt.Println("sevens in an answer of four tokens, more than 3.5:", report.BestScore > 3.5)
	// Output:
	// iterations: 30
	// sevens in an answer of four tokens, more than 3.5: true
}

// A custom loss: PPO without clipping, that is a policy gradient, and the usual value loss.
func ExampleLoss() {
	cfg := exampleConfig()
	cfg.Loss = func(in ppo.LossInputs) (ppo.Terms, error) {
		x := ops.Expr(in.LogProbs.Graph())
		gain := x.MaskedMean(x.Mul(in.LogProbs, in.Advantages), in.Mask, in.Tokens)
		miss := x.MaskedMean(x.Square(x.Sub(in.Values, in.Returns)), in.Mask, in.Tokens)
		return ppo.Terms{
			Loss:    x.Sub(miss, gain),
			Metrics: []ppo.Metric{{Name: "loss/value_avg", Value: miss}},
		}, x.Err()
	}
	policy, critic := exampleModels()
	trainer, err := ppo.New(policy, critic, []data.TokenPrompt{{Tokens: []int32{1, 4}}}, nil, likesSeven, cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	var scores []float64
	for !trainer.Done() {
		m, err := trainer.Iterate(context.Background())
		if err != nil {
			fmt.Println(err)
			return
		}
		scores = append(scores, m["objective/scores"])
	}
	fmt.Println("from under 1 to over 3:", scores[0] < 1 && slices.Max(scores) > 3)
	// Output: from under 1 to over 3: true
}

// A rewarder with both scores: the gate of section 3.2.3 takes the safety score where it is low or the prompt is tagged.
func ExampleCombine() {
	for _, s := range []ppo.Score{{Helpfulness: 2, Safety: 1}, {Helpfulness: 2, Safety: -3}} {
		r, bySafety := ppo.Combine(s, false, 0.15)
		fmt.Println(r, bySafety)
	}
	// Output:
	// 2 false
	// -3 true
}

func ExampleGAE() {
	rewards := []float64{0, 0, 1} // the score comes with the last token
	values := []float64{0.5, 0.5, 0.5}
	advantages, returns := ppo.GAE(rewards, values, nil, 1, 0.95)
	fmt.Printf("%.3f %.3f\n", advantages, returns)
	// Output: [0.451 0.475 0.500] [0.951 0.975 1.000]
}
