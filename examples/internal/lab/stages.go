package lab

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/tame-rlhf/tame/internal/console"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/generate"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
	"github.com/tame-rlhf/tame/pkg/sft"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
	"github.com/tame-rlhf/tame/pkg/train"
)

// Main runs a long command until it is done, fails, or is interrupted; stopped is what it says then.
func Main(name, stopped string, run func(context.Context, *console.Console) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	c := console.New(os.Stdout)
	err := run(ctx, c)
	c.Close()
	switch {
	case errors.Is(err, context.Canceled):
		fmt.Fprintf(os.Stderr, "%s: %s\n", name, stopped)
		os.Exit(130)
	case err != nil:
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// Bench is where models are trained and asked, whatever their data is.
type Bench struct {
	Console *console.Console
	Tok     *tokenizer.Tokenizer
	Tmpl    *data.Template
	Longest int // tokens of an answer

	Stages []Stage // what was done so far

	Work string // folder in which training keeps itself, to go on after a stop; empty: it does not

	Detail func(metrics map[string]float64) string // what there is to tell of a step in a few words
}

// Stage is what a stage took.
type Stage struct {
	Stage   string  `json:"stage"`
	Tokens  int     `json:"tokens"` // read or sampled; 0 where nobody counts
	Seconds float64 `json:"seconds"`
}

// Table is an empty table.
func Table(title string, header ...any) table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.SetTitle("%s", title)
	t.AppendHeader(table.Row(header))
	return t
}

// PrintStages prints all stages and their sum.
func PrintStages(c *console.Console, list []Stage) {
	t := Table("Stages", "stage", "tokens", "seconds")
	tokens, seconds := 0, 0.0
	for _, s := range list {
		t.AppendRow(table.Row{s.Stage, s.Tokens, fmt.Sprintf("%.1f", s.Seconds)})
		tokens, seconds = tokens+s.Tokens, seconds+s.Seconds
	}
	t.AppendFooter(table.Row{"all", tokens, fmt.Sprintf("%.1f", seconds)})
	c.Printf("%s", t.Render())
}

// Task runs a stage with its progress and notes its tokens and seconds.
func (b *Bench) Task(name string, total int, run func(onStep func(train.StepInfo)) (tokens int, err error)) error {
	task := b.Console.Start(name, total)
	detail := ""
	tokens, err := run(func(info train.StepInfo) {
		detail = b.Detail(info.Metrics)
		task.Update(info.Step, detail)
	})
	if err != nil {
		return err
	}
	b.Note(name, tokens, task.Done(detail))
	return nil
}

// Note adds a line to the table of stages.
func (b *Bench) Note(name string, tokens int, took time.Duration) {
	b.Stages = append(b.Stages, Stage{Stage: name, Tokens: tokens, Seconds: took.Seconds()})
}

// keep is where a stage keeps itself.
func (b *Bench) keep(name string) train.Checkpointing {
	if b.Work == "" {
		return train.Checkpointing{}
	}
	return train.Checkpointing{Dir: filepath.Join(b.Work, name), Every: 100}
}

// FineTune is SFT on a copy of p.
func (b *Bench) FineTune(ctx context.Context, name string, p *model.Params, examples []data.Example, cfg sft.Config) (*model.Params, error) {
	p = p.Clone()
	steps := (len(examples) + cfg.BatchSize - 1) / cfg.BatchSize * cfg.Epochs
	return p, b.Task(name, steps, func(onStep func(train.StepInfo)) (int, error) {
		cfg.Checkpointing, cfg.OnStep = b.keep(name), onStep
		report, err := sft.Train(ctx, p, examples, nil, cfg)
		return report.Tokens, err
	})
}

// RewardModel trains one on top of a chat model.
func (b *Bench) RewardModel(ctx context.Context, name string, chat *model.Params, pairs []data.Pair, cfg rewardmodel.Config) (*model.Params, error) {
	p := chat.Clone()
	p.AddHead(rand.New(rand.NewPCG(cfg.Seed, 2)))
	return p, b.TrainRewardModel(ctx, name, p, pairs, cfg)
}

// TrainRewardModel trains a model that has a head.
func (b *Bench) TrainRewardModel(ctx context.Context, name string, p *model.Params, pairs []data.Pair, cfg rewardmodel.Config) error {
	steps := (len(pairs) + cfg.BatchSize - 1) / cfg.BatchSize * cfg.Epochs
	return b.Task(name, steps, func(onStep func(train.StepInfo)) (int, error) {
		cfg.OnStep = onStep
		report, err := rewardmodel.Train(ctx, p, pairs, nil, cfg)
		return report.Tokens, err
	})
}

// Answers gives n answers to each prompt, side by side.
func (b *Bench) Answers(ctx context.Context, name string, p *model.Params, prompts []data.TokenPrompt, n int, temperature float64, seed uint64) ([]data.Answer, error) {
	task := b.Console.Start(name, len(prompts)*n)
	answers, err := generate.Answers(ctx, p, prompts, n, generate.Sampling{
		MaxNewTokens: b.Longest, Temperature: temperature, TopP: 1, Stop: []int32{b.Tok.EOS()}, Seed: seed, Slots: 64,
		OnProgress: func(done, _ int) { task.Update(done, "") },
	}, nil)
	if err != nil {
		return nil, err
	}
	tokens := 0
	for _, a := range answers {
		tokens += len(a.Tokens)
	}
	b.Note(name, tokens, task.Done(fmt.Sprintf("%d answers", len(answers))))
	return answers, nil
}
