// Rejection improves a model by rejection sampling (Touvron et al. 2023, section 3.2.3): it samples several answers to
// each prompt, keeps the best by reward, and is fine-tuned on those; then again, as a new version. It takes seconds.
//
// The prompts are words of the letters a and b, the right answer is the letter that occurs more often. The first version
// only knows that an answer is one letter.
package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/rejection"
	"github.com/tame-rlhf/tame/pkg/sft"
)

// The tokens: 0 unknown, 1 begin, 2 end, 3 a, 4 b, and 5 between prompt and answer.
const bos, eos, letterA, letterB, separator, vocab = 1, 2, 3, 4, 5, 6

const wordLength = 7

// prompts are all words of that length, a quarter of them held out.
func prompts() (training, heldOut []data.TokenPrompt) {
	for i, k := range rand.New(rand.NewPCG(1, 1)).Perm(1 << wordLength) {
		p := data.TokenPrompt{Tokens: []int32{bos}}
		for bit := range wordLength {
			letter := int32(letterA + k>>bit&1)
			p.Tokens = append(p.Tokens, letter)
			p.ID += string(rune('a' + letter - letterA))
		}
		p.Tokens = append(p.Tokens, separator)
		if i%4 == 0 {
			heldOut = append(heldOut, p)
		} else {
			training = append(training, p)
		}
	}
	return training, heldOut
}

// reward is 1 for the letter that the word has more of, 0 for anything else. It stands in for a reward model.
var reward = data.EachAnswer(func(a data.Answer) float64 {
	right := int32(letterA)
	if strings.Count(a.Prompt.ID, "b") > wordLength/2 {
		right = letterB
	}
	if len(a.Tokens) == 2 && a.Tokens[0] == right && a.Tokens[1] == eos {
		return 1
	}
	return 0
})

// fineTune is supervised fine-tuning on answers.
func fineTune(ctx context.Context, p *model.Params, answers []data.Answer, epochs int, seed uint64) error {
	examples := make([]data.Example, len(answers))
	for i, a := range answers {
		examples[i] = a.Example()
	}
	cfg := sft.DefaultConfig()
	cfg.Optim = optim.DefaultConfig(5e-3)
	cfg.Epochs, cfg.BatchSize, cfg.Seed = epochs, 16, seed
	cfg.MicroTokens, cfg.MicroSegments = 256, 16
	_, err := sft.Train(ctx, p, examples, nil, cfg)
	return err
}

// guesser is the first version: it answers with any letter.
func guesser(ctx context.Context, training []data.TokenPrompt) (*model.Params, error) {
	p := model.NewParams(model.Config{
		Dim: 32, NumLayers: 1, NumHeads: 2, NumKVHeads: 2, HeadDim: 16, HiddenDim: 64, VocabSize: vocab,
		MaxSeqLen: 16, NormEps: 1e-5, RopeTheta: 1e4, BOS: bos, EOS: eos,
	}, tensor.Float32)
	rng := rand.New(rand.NewPCG(1, 2))
	p.Init(rng)
	var answers []data.Answer
	for _, prompt := range training {
		answers = append(answers, data.Answer{Prompt: prompt, Tokens: []int32{letterA + rng.Int32N(2), eos}})
	}
	return p, fineTune(ctx, p, answers, 5, 0)
}

// version is what came of one round.
type version struct {
	temperature float64
	point       rejection.Point // of the answers it was trained on
	heldOut     float64         // mean reward of its own answers to held-out prompts
}

// meanReward samples one answer to each prompt at temperature 1.
func meanReward(ctx context.Context, p *model.Params, prompts []data.TokenPrompt, cfg rejection.Config) (mean float64, err error) {
	cfg.Samples, cfg.Temperature = 1, 1
	candidates, err := rejection.Sample(ctx, p, prompts, reward, cfg)
	for _, c := range candidates {
		mean += c.Reward / float64(len(candidates))
	}
	return mean, err
}

// run gives the mean reward of the first version on held-out prompts, and all versions after it.
func run(ctx context.Context, out io.Writer) (start float64, versions []version, err error) {
	training, heldOut := prompts()
	p, err := guesser(ctx, training)
	if err != nil {
		return 0, nil, err
	}
	cfg := rejection.DefaultConfig()
	cfg.Samples = 4 // K
	cfg.MaxNewTokens, cfg.Stop = 3, []int32{eos}
	if start, err = meanReward(ctx, p, heldOut, cfg); err != nil {
		return 0, nil, err
	}
	fmt.Fprintf(out, "the first version has a mean reward of %.2f\n", start)

	var pool []rejection.Candidate // of all versions, so that nothing is forgotten
	for round := range 3 {
		cfg.Version, cfg.Seed = round, uint64(round)

		// 1. Which temperature gives the best of K answers?
		temperature, points, err := rejection.Tune(ctx, p, training[:32], reward, cfg, []float64{0.7, 1, 1.3})
		if err != nil {
			return 0, nil, err
		}
		cfg.Temperature = temperature
		v := version{temperature: temperature}
		for _, pt := range points {
			if pt.Temperature == temperature {
				v.point = pt
			}
		}

		// 2. K answers to every prompt; the best of this version's and all earlier ones' are the new examples.
		candidates, err := rejection.Sample(ctx, p, training, reward, cfg)
		if err != nil {
			return 0, nil, err
		}
		pool = append(pool, candidates...)
		var winners []data.Answer
		for _, w := range rejection.Best(pool) {
			winners = append(winners, w.Answer)
		}

		// 3. Fine-tune on them.
		if err := fineTune(ctx, p, winners, 10, uint64(round)); err != nil {
			return 0, nil, err
		}
		if v.heldOut, err = meanReward(ctx, p, heldOut, cfg); err != nil {
			return 0, nil, err
		}
		versions = append(versions, v)
		fmt.Fprintf(out, "round %d: at temperature %.1f best of %d %.2f, median %.2f; after fine-tuning on %d winners %.2f on new prompts\n",
			round+1, temperature, cfg.Samples, v.point.Max, v.point.Median, len(winners), v.heldOut)
	}
	return start, versions, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if _, _, err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "rejection:", err)
		os.Exit(1)
	}
}
