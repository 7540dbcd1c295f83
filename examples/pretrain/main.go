// Pretrain makes a language model from nothing but text (Touvron et al. 2023, section 2.2): it trains a tokenizer, then a
// Llama, and asks it how the text goes on. It takes seconds.
//
//	go run ./examples/pretrain -out animals
//
// also writes the model to a folder that any Llama tool reads.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/generate"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/pretrain"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
	"github.com/tame-rlhf/tame/pkg/train"
)

// facts are what the text is about.
var facts = [][2]string{
	{"llama", "hums"}, {"dog", "barks"}, {"cat", "meows"}, {"bird", "sings"},
	{"cow", "moos"}, {"lion", "roars"}, {"duck", "quacks"}, {"pig", "grunts"},
}

// corpus writes texts such as "the dog barks and the cow moos".
func corpus(n int) []string {
	rng := rand.New(rand.NewPCG(1, 1))
	texts := make([]string, n)
	for i := range texts {
		var clauses []string
		for _, k := range rng.Perm(len(facts))[:1+rng.IntN(4)] {
			clauses = append(clauses, "the "+facts[k][0]+" "+facts[k][1])
		}
		texts[i] = strings.Join(clauses, " and ")
	}
	return texts
}

// pretrained makes the tokenizer and the model.
func pretrained(ctx context.Context, texts []string, onStep func(train.StepInfo)) (*tokenizer.Tokenizer, *model.Params, error) {
	// 1. The tokenizer: 256 bytes, a few special pieces, and merges until common words are one piece.
	tokCfg := tokenizer.DefaultTrainConfig()
	tokCfg.VocabSize = 340
	tok, err := tokenizer.Train(ctx, slices.Values(texts), tokCfg)
	if err != nil {
		return nil, nil, err
	}

	// 2. The model: a Llama of 40 thousand weights.
	p := model.NewParams(model.Config{
		Dim: 32, NumLayers: 2, NumHeads: 4, NumKVHeads: 2, HeadDim: 8, HiddenDim: 64, VocabSize: tok.VocabSize(),
		MaxSeqLen: 64, NormEps: 1e-5, RopeTheta: 1e4, BOS: tok.BOS(), EOS: tok.EOS(),
	}, tensor.Float32)
	p.Init(rand.New(rand.NewPCG(1, 2)))

	// 3. Training: the paper's settings, but for the size of everything.
	cfg := pretrain.DefaultConfig()
	cfg.Optim = optim.DefaultConfig(1e-2)
	cfg.Steps, cfg.WarmupSteps, cfg.BatchTokens = 60, 5, 500
	cfg.MicroTokens, cfg.MicroSegments = 600, 100
	cfg.OnStep = onStep
	_, err = pretrain.Train(ctx, p, pretrain.Encode(tok, texts), nil, cfg)
	return tok, p, err
}

// continuation is how the model goes on, taking the most probable token each time.
func continuation(ctx context.Context, tok *tokenizer.Tokenizer, p *model.Params, text string) (string, error) {
	cfg := generate.DefaultSampling()
	cfg.Temperature, cfg.MaxNewTokens, cfg.Stop = 0, 12, []int32{tok.EOS()}
	prompt := append([]int32{tok.BOS()}, tok.Encode(text)...)
	answers, err := generate.Generate(ctx, p, []generate.Request{{Prompt: prompt, Samples: 1}}, cfg)
	if err != nil {
		return "", err
	}
	whole, err := tok.Decode(append(prompt, answers[0][0].Tokens...))
	return strings.TrimPrefix(whole, text), err
}

// report is what a run came to.
type report struct {
	losses []float64 // nats per token, of every step
	right  int       // animals whose sound the model knows
}

func run(ctx context.Context, out io.Writer, dir string) (r report, err error) {
	tok, p, err := pretrained(ctx, corpus(1000), func(s train.StepInfo) {
		r.losses = append(r.losses, s.Metrics["loss"])
		if s.Step%10 == 0 || s.Step == 1 {
			fmt.Fprintf(out, "step %2d of %d  loss %.2f nats per token\n", s.Step, s.Total, s.Metrics["loss"])
		}
	})
	if err != nil {
		return r, err
	}
	for _, fact := range facts {
		prompt := "the " + fact[0]
		text, err := continuation(ctx, tok, p, prompt)
		if err != nil {
			return r, err
		}
		fmt.Fprintf(out, "%s |%s\n", prompt, text)
		if words := strings.Fields(text); len(words) > 0 && words[0] == fact[1] {
			r.right++
		}
	}
	if dir == "" {
		return r, nil
	}
	return r, model.Save(dir, p, func(tmp string) error { return tok.Save(filepath.Join(tmp, "tokenizer.model")) })
}

func main() {
	dir := flag.String("out", "", "folder to write the model to; none is written without it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if _, err := run(ctx, os.Stdout, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "pretrain:", err)
		os.Exit(1)
	}
}
