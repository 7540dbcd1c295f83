// Ppo teaches a babbling model to echo, by reinforcement learning alone: nobody shows it an echo, a reward says how good
// its answers were (Touvron et al. 2023, section 3.2.3).
//
// The model first learns to babble: letters that stutter now and then, and a stop. Then PPO rewards answers that repeat
// the letter of the prompt, and takes off a price for moving away from the babble. It takes a second.
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
	"github.com/tame-rlhf/tame/pkg/ppo"
	"github.com/tame-rlhf/tame/pkg/pretrain"
	"github.com/tame-rlhf/tame/pkg/train"
)

// The tokens: 0 unknown, 1 begin, 2 end, and the letters from 3 on.
const (
	bos, eos, firstLetter = 1, 2, 3
	alphabet              = "abcdefgh"
	longest               = 4 // letters of an answer
)

// text is what the model sees, without begin and end.
func text(ids []int32) (s string) {
	for _, id := range ids {
		if id >= firstLetter {
			s += alphabet[id-firstLetter : id-firstLetter+1]
		}
	}
	return s
}

// babbler is a tiny model that goes on with random letters. What it never does PPO would not find.
func babbler(ctx context.Context) (*model.Params, error) {
	p := model.NewParams(model.Config{
		Dim: 32, NumLayers: 1, NumHeads: 2, NumKVHeads: 2, HeadDim: 16, HiddenDim: 64, VocabSize: firstLetter + len(alphabet),
		MaxSeqLen: 8, NormEps: 1e-5, RopeTheta: 1e4, BOS: bos, EOS: eos,
	}, tensor.Float32)
	rng := rand.New(rand.NewPCG(1, 1))
	p.Init(rng)
	docs := make([][]int32, 500)
	for i := range docs {
		docs[i] = []int32{bos}
		for range 2 + rng.IntN(longest) { // a prompt of one letter and its answer
			letter := firstLetter + rng.Int32N(int32(len(alphabet)))
			if last := docs[i][len(docs[i])-1]; last != bos && rng.IntN(4) == 0 {
				letter = last // a stutter
			}
			docs[i] = append(docs[i], letter)
		}
		docs[i] = append(docs[i], eos)
	}
	cfg := pretrain.DefaultConfig()
	cfg.Optim = optim.DefaultConfig(5e-3)
	cfg.Steps, cfg.WarmupSteps, cfg.BatchTokens = 50, 5, 500
	cfg.MicroTokens, cfg.MicroSegments = 1024, 256
	_, err := pretrain.Train(ctx, p, docs, nil, cfg)
	return p, err
}

// reward is the share of an answer's letters that are the prompt's.
func reward(a data.Answer) float64 {
	echoes, letters := 0.0, text(a.Tokens)
	for i := range letters {
		if letters[i:i+1] == text(a.Prompt.Tokens) {
			echoes += 1 / float64(len(letters))
		}
	}
	return echoes
}

// config is that of the paper, but for the size of the model.
func config() ppo.Config {
	cfg := ppo.DefaultConfig()
	cfg.Iterations, cfg.BatchSize, cfg.MiniBatch = 25, 128, 32 // 4 optimisation steps an iteration
	cfg.Optim, cfg.CriticOptim = optim.DefaultConfig(2e-3), optim.DefaultConfig(5e-3)
	cfg.KLCoef = 0.05
	cfg.Gate = false // no safety reward here
	cfg.MaxNewTokens, cfg.Stop = longest+1, []int32{eos}
	cfg.MicroTokens, cfg.MicroSegments = 512, 64
	return cfg
}

// examples prints a sampled answer to every letter.
func examples(ctx context.Context, out io.Writer, p *model.Params, prompts []data.TokenPrompt) error {
	requests := make([]generate.Request, len(prompts))
	for i, prompt := range prompts {
		requests[i] = generate.Request{Prompt: prompt.Tokens, ID: uint64(i), Samples: 1}
	}
	cfg := generate.DefaultSampling()
	cfg.MaxNewTokens = longest + 1
	answers, err := generate.Generate(ctx, p, requests, cfg)
	for i, a := range answers {
		fmt.Fprintf(out, "  %s: %s", text(prompts[i].Tokens), text(a[0].Tokens))
	}
	fmt.Fprintln(out)
	return err
}

// run gives the metrics of every iteration.
func run(ctx context.Context, out io.Writer) (iterations []map[string]float64, err error) {
	policy, err := babbler(ctx)
	if err != nil {
		return nil, err
	}
	critic := policy.Clone() // the value function starts from the same weights
	critic.AddHead(nil)
	var prompts []data.TokenPrompt
	for i := range alphabet {
		prompts = append(prompts, data.TokenPrompt{Tokens: []int32{bos, int32(firstLetter + i)}})
	}
	if err := examples(ctx, out, policy, prompts); err != nil {
		return nil, err
	}

	cfg := config()
	cfg.OnStep = func(s train.StepInfo) {
		iterations = append(iterations, s.Metrics)
		fmt.Fprintf(out, "iteration %2d  reward %.2f  KL %.2f nats\n", s.Step, s.Metrics["objective/scores"], s.Metrics["objective/kl"])
	}
	// No held-out prompts: there are no other letters. With some, the best policy would be kept.
	if _, err := ppo.Train(ctx, policy, critic, prompts, nil, ppo.FromReward(data.EachAnswer(reward)), cfg); err != nil {
		return nil, err
	}
	return iterations, examples(ctx, out, policy, prompts)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if _, err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "ppo:", err)
		os.Exit(1)
	}
}
