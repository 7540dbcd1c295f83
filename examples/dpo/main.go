// Dpo is direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290) with a trainer of its own. It imports
// nothing of tame but packages below pkg/: this is what a trainer in a module of yours looks like. The loss and the
// trainer are in dpo.go, this file is the task.
//
// A tiny model has learned to go on from "1 6" both with "7 8" and with "5 4". Annotators prefer counting up.
package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/generate"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/sft"
	"github.com/tame-rlhf/tame/pkg/train"
)

// The tokens are 1 (begin), 2 (end) and the numbers 0 to 15, which lie in a circle and begin at token 3.
const bos, eos, first, numbers = 1, 2, 3, 16

// number is the token of a number.
func number(n int) int32 { return int32(first + (n+numbers)%numbers) }

// world draws the prompts "a b"; the answers "b+1 b+2" and "b-1 b-2" do not depend on a. A quarter is held out.
func world() (training, heldOut []*pair) {
	for i, k := range rand.New(rand.NewPCG(1, 1)).Perm(numbers * numbers) {
		a, b := k/numbers, k%numbers
		p := &pair{
			prompt:  []int32{bos, number(a), number(b)},
			answers: [2][]int32{{number(b + 1), number(b + 2), eos}, {number(b - 1), number(b - 2), eos}},
		}
		if i%4 == 0 {
			heldOut = append(heldOut, p)
		} else {
			training = append(training, p)
		}
	}
	return training, heldOut
}

// undecided trains a model that gives one answer as gladly as the other.
func undecided(ctx context.Context, pairs []*pair) (*model.Params, error) {
	p := model.NewParams(model.Config{
		Dim: 32, NumLayers: 1, NumHeads: 2, NumKVHeads: 2, HeadDim: 16, HiddenDim: 64, VocabSize: first + numbers,
		MaxSeqLen: 8, NormEps: 1e-5, RopeTheta: 1e4, BOS: bos, EOS: eos,
	}, tensor.Float32)
	p.Init(rand.New(rand.NewPCG(1, 2)))
	var examples []data.Example
	for _, pair := range pairs {
		for _, answer := range pair.answers {
			examples = append(examples, data.Join(pair.prompt, answer))
		}
	}
	cfg := sft.DefaultConfig()
	cfg.Optim = optim.DefaultConfig(5e-3)
	cfg.Epochs = 30
	cfg.MicroTokens, cfg.MicroSegments = 512, 64
	_, err := sft.Train(ctx, p, examples, nil, cfg)
	return p, err
}

// up samples an answer to each prompt and gives the share that counts up.
func up(ctx context.Context, p *model.Params, pairs []*pair) (float64, error) {
	requests := make([]generate.Request, len(pairs))
	for i, pair := range pairs {
		requests[i] = generate.Request{Prompt: pair.prompt, ID: uint64(i), Samples: 1}
	}
	cfg := generate.DefaultSampling()
	cfg.MaxNewTokens, cfg.Stop = 4, []int32{eos}
	answers, err := generate.Generate(ctx, p, requests, cfg)
	if err != nil {
		return 0, err
	}
	share := 0.0
	for i, a := range answers {
		if fmt.Sprint(a[0].Tokens) == fmt.Sprint(pairs[i].answers[0]) {
			share += 1 / float64(len(pairs))
		}
	}
	return share, nil
}

// report is what a run came to.
type report struct {
	steps       []train.StepInfo
	before, now float64 // share of answers to held-out prompts that count up
}

func run(ctx context.Context, out io.Writer) (r report, err error) {
	training, heldOut := world()
	policy, err := undecided(ctx, training)
	if err != nil {
		return r, err
	}
	if r.before, err = up(ctx, policy, heldOut); err != nil {
		return r, err
	}
	if err := reference(ctx, policy, training); err != nil {
		return r, err
	}
	fmt.Fprintln(out, "step   loss  accuracy  margin")
	err = optimise(ctx, policy, training, func(s train.StepInfo) {
		r.steps = append(r.steps, s)
		fmt.Fprintf(out, "%4d %6.3f  %8.2f  %6.3f\n", s.Step, s.Metrics["loss"], s.Metrics["accuracy"], s.Metrics["margin"])
	})
	if err != nil {
		return r, err
	}
	if r.now, err = up(ctx, policy, heldOut); err != nil {
		return r, err
	}
	fmt.Fprintf(out, "answers to new prompts that count up: %.0f %%, before %.0f %%\n", 100*r.now, 100*r.before)
	return r, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if _, err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "dpo:", err)
		os.Exit(1)
	}
}
