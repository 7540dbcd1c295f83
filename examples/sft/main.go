// Sft teaches a model to answer (Touvron et al. 2023, section 3.1): dialogues in Llama 2's chat format, of which only the
// answers count. Afterwards it is asked things that were not among the examples. It takes seconds.
package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/generate"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/optim"
	"github.com/tame-rlhf/tame/pkg/sft"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
	"github.com/tame-rlhf/tame/pkg/train"
)

// What the dialogues are about, and how users ask.
var (
	facts = [][2]string{
		{"llama", "hums"}, {"dog", "barks"}, {"cat", "meows"}, {"bird", "sings"},
		{"cow", "moos"}, {"lion", "roars"}, {"duck", "quacks"}, {"pig", "grunts"},
	}
	questions = []string{"what does the ANIMAL say?", "tell me about the ANIMAL", "how does the ANIMAL sound?", "describe the ANIMAL, please"}
)

// dialogues asks every question about every animal; a quarter is held out.
func dialogues() (training, heldOut []data.Conversation) {
	for i, k := range rand.New(rand.NewPCG(1, 1)).Perm(len(facts) * len(questions)) {
		question, fact := questions[k%len(questions)], facts[k/len(questions)]
		d := data.Conversation{Messages: []data.Message{
			{Role: data.User, Content: strings.ReplaceAll(question, "ANIMAL", fact[0])},
			{Role: data.Assistant, Content: "the " + fact[0] + " " + fact[1]},
		}}
		if i%4 == 0 {
			heldOut = append(heldOut, d)
		} else {
			training = append(training, d)
		}
	}
	return training, heldOut
}

// newTokenizer makes pieces of the words of the dialogues and of the marks of the chat format.
func newTokenizer(ctx context.Context, dialogs []data.Conversation) (*tokenizer.Tokenizer, error) {
	var lines []string
	for _, d := range dialogs {
		for _, m := range d.Messages {
			lines = append(lines, m.Content)
		}
	}
	cfg := tokenizer.DefaultTrainConfig() // the chat markers are pieces
	cfg.VocabSize = 360
	return tokenizer.Train(ctx, slices.Values(lines), cfg)
}

// answer asks the model, taking the most probable token each time.
func answer(ctx context.Context, p *model.Params, tok *tokenizer.Tokenizer, tmpl *data.Template, question []data.Message) (string, error) {
	prompt, err := tmpl.EncodePrompt(question)
	if err != nil {
		return "", err
	}
	cfg := generate.DefaultSampling()
	cfg.Temperature, cfg.MaxNewTokens, cfg.Stop = 0, 20, []int32{tok.EOS()}
	answers, err := generate.Generate(ctx, p, []generate.Request{{Prompt: prompt, Samples: 1}}, cfg)
	if err != nil {
		return "", err
	}
	text, err := tok.Decode(answers[0][0].Tokens)
	return strings.TrimSpace(text), err
}

// report is what a run came to.
type report struct {
	losses       []float64 // nats per token of the answers, of every step
	right, asked int       // held-out questions
}

func run(ctx context.Context, out io.Writer) (r report, err error) {
	// 1. Dialogues, tokenizer, chat format, and a model that knows nothing yet.
	training, heldOut := dialogues()
	tok, err := newTokenizer(ctx, training)
	if err != nil {
		return r, err
	}
	tmpl, err := data.PieceTemplate(tok)
	if err != nil {
		return r, err
	}
	p := model.NewParams(model.Config{
		Dim: 32, NumLayers: 2, NumHeads: 4, NumKVHeads: 4, HeadDim: 8, HiddenDim: 64, VocabSize: tok.VocabSize(),
		MaxSeqLen: 64, NormEps: 1e-5, RopeTheta: 1e4, BOS: tok.BOS(), EOS: tok.EOS(),
	}, tensor.Float32)
	p.Init(rand.New(rand.NewPCG(1, 2)))

	// 2. Examples: token ids, and which of them count.
	examples, err := sft.Encode(tmpl, training, data.AllTurns)
	if err != nil {
		return r, err
	}

	// 3. Training: the paper's settings, but for the size of everything.
	cfg := sft.DefaultConfig()
	cfg.Optim = optim.DefaultConfig(1e-2)
	cfg.Epochs, cfg.BatchSize = 40, 8
	cfg.MicroTokens, cfg.MicroSegments = 256, 8
	cfg.OnStep = func(s train.StepInfo) {
		r.losses = append(r.losses, s.Metrics["loss"])
		if s.Step%20 == 0 || s.Step == 1 {
			fmt.Fprintf(out, "step %3d of %d  loss %.2f nats per token\n", s.Step, s.Total, s.Metrics["loss"])
		}
	}
	if _, err := sft.Train(ctx, p, examples, nil, cfg); err != nil {
		return r, err
	}

	// 4. Questions that were not among the examples.
	for _, d := range heldOut {
		text, err := answer(ctx, p, tok, tmpl, d.Messages[:1])
		if err != nil {
			return r, err
		}
		r.asked++
		if text == d.Messages[1].Content {
			r.right++
		}
		fmt.Fprintf(out, "%s | %s\n", d.Messages[0].Content, text)
	}
	fmt.Fprintf(out, "%d of %d are right\n", r.right, r.asked)
	return r, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if _, err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sft:", err)
		os.Exit(1)
	}
}
