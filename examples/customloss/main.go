// Customloss trains with a custom loss next to PPO's: loss.go is the loss, loss_test.go its unit tests, this file
// plugs it in with one line.
//
// The task is for a second of work: answers with many letters a are good ones.
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
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/ppo"
	"github.com/tame-rlhf/tame/pkg/train"
)

// The tokens: 0 unknown, 1 begin, 2 end, 3 the letter a, and more letters.
const bos, eos, letterA, vocab = 1, 2, 3, 12

// untrained is a tiny model that says anything. With a head of zeros it is a critic too.
func untrained() *model.Params {
	p := model.NewParams(model.Config{
		Dim: 16, NumLayers: 1, NumHeads: 2, NumKVHeads: 2, HeadDim: 8, HiddenDim: 32, VocabSize: vocab,
		MaxSeqLen: 12, NormEps: 1e-5, RopeTheta: 1e4, BOS: bos, EOS: eos,
	}, tensor.Float32)
	p.Init(rand.New(rand.NewPCG(1, 1)))
	return p
}

// reward is the number of letters a.
func reward(a data.Answer) float64 {
	n := 0.0
	for _, id := range a.Tokens {
		if id == letterA {
			n++
		}
	}
	return n
}

// runWith trains with a loss, nil for PPO's own, and gives the metrics of every iteration.
func runWith(ctx context.Context, loss ppo.Loss) (iterations []map[string]float64, err error) {
	cfg := ppo.DefaultConfig()
	cfg.Loss = loss // that is all
	cfg.Iterations, cfg.BatchSize, cfg.MiniBatch, cfg.Epochs = 15, 64, 16, 2
	cfg.Optim, cfg.CriticOptim = optim.DefaultConfig(1e-2), optim.DefaultConfig(1e-2)
	cfg.Gate = false // no safety reward here
	cfg.MaxNewTokens, cfg.Stop = 8, []int32{eos}
	cfg.MicroTokens, cfg.MicroSegments = 512, 64
	cfg.OnStep = func(s train.StepInfo) { iterations = append(iterations, s.Metrics) }

	critic := untrained()
	critic.AddHead(nil)
	_, err = ppo.Train(ctx, untrained(), critic, []data.TokenPrompt{{Tokens: []int32{bos}}}, nil, ppo.FromReward(data.EachAnswer(reward)), cfg)
	return iterations, err
}

// run trains with both losses.
func run(ctx context.Context, out io.Writer) (own, clipped []map[string]float64, err error) {
	if clipped, err = runWith(ctx, nil); err != nil {
		return nil, nil, err
	}
	if own, err = runWith(ctx, softClip(0.2, 0.01)); err != nil {
		return nil, nil, err
	}
	fmt.Fprintln(out, "           reward           KL, nats    taken away")
	fmt.Fprintln(out, "iteration  clip  soft clip  soft clip   by soft clip")
	for i := range own {
		fmt.Fprintf(out, "%9d  %4.1f  %9.1f  %9.2f   %.5f\n", i+1, clipped[i]["objective/scores"], own[i]["objective/scores"],
			own[i]["objective/kl"], own[i]["policy/softness"])
	}
	return own, clipped, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if _, _, err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "customloss:", err)
		os.Exit(1)
	}
}
