package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/tame-rlhf/tame/internal/console"
	"github.com/tame-rlhf/tame/pkg/curate"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/generate"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
	"github.com/tame-rlhf/tame/pkg/sft"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
	"github.com/tame-rlhf/tame/pkg/train"
)

// lab holds what the stages share.
type lab struct {
	settings
	console *console.Console
	tok     *tokenizer.Tokenizer
	tmpl    *data.Template
	corpus  *corpus

	rl         []prompt // that answers to are learned from
	validation []prompt // that decide on a temperature and on the best iteration of PPO
	test       []prompt // of the report
	noRoom     int      // prompts too long for an answer

	start  time.Time
	stages []stageRow // of the final table
}

// stageRow is a line of the table of stages.
type stageRow struct {
	Stage   string  `json:"stage"`
	Tokens  int     `json:"tokens"`
	Seconds float64 `json:"seconds"`
}

// newLab reads the model and the data.
func newLab(dir string, s settings, c *console.Console) (*lab, *model.Params, error) {
	if err := checkDir(dir); err != nil {
		return nil, nil, err
	}
	weights := filepath.Join(dir, "stories260k", "stories260K.bin")
	base, err := model.Load(weights)
	if err != nil {
		return nil, nil, err
	}
	l := &lab{settings: s, console: c, start: time.Now()}
	vocabulary := filepath.Join(dir, "stories260k", "tok512.bin")
	if l.tok, err = tokenizer.Load(vocabulary); err != nil {
		return nil, nil, err
	}
	if l.tok.VocabSize() != base.Config().VocabSize {
		return nil, nil, fmt.Errorf("%s has %d pieces, the model in %s wants %d", vocabulary, l.tok.VocabSize(), weights, base.Config().VocabSize)
	}
	if l.tmpl, err = data.Llama2Template(l.tok); err != nil {
		return nil, nil, err
	}
	return l, base, l.loadCorpus(dir, base.Config().MaxSeqLen)
}

// loadCorpus reads the files and picks the prompts.
func (l *lab) loadCorpus(dir string, context int) error {
	start := time.Now()
	var err error
	if l.corpus, err = load(dir, l.tmpl, context, l.heldOut); err != nil {
		return err
	}
	train, noRoom, err := l.corpus.train.prompts(l.tmpl, context, l.maxAnswer)
	if err != nil {
		return err
	}
	heldOut, noRoomToo, err := l.corpus.heldOut.prompts(l.tmpl, context, l.maxAnswer)
	if err != nil {
		return err
	}
	l.noRoom = noRoom + noRoomToo
	l.rl = pick(train, l.rlPrompts)
	if l.validation, l.test, err = curate.Split(heldOut, 0.5, splitSeed+1); err != nil {
		return err
	}
	if l.few > 0 {
		l.corpus.train, l.corpus.heldOut = l.corpus.train.first(l.fewDemos, l.few), l.corpus.heldOut.first(l.few, l.few)
		l.validation, l.test = pick(l.validation, l.few), pick(l.test, l.few)
	}
	l.note("reading", 0, time.Since(start))
	return nil
}

// pick draws at most n prompts.
func pick(prompts []prompt, n int) []prompt {
	var picked []prompt
	for _, i := range data.Shuffled(len(prompts), splitSeed, 0)[:min(n, len(prompts))] {
		picked = append(picked, prompts[i])
	}
	return picked
}

// task runs a stage with its progress and notes its tokens and seconds.
func (l *lab) task(name string, total int, run func(onStep func(train.StepInfo)) (tokens int, err error)) error {
	task := l.console.Start(name, total)
	detail := ""
	tokens, err := run(func(info train.StepInfo) {
		if loss, ok := info.Metrics["loss"]; ok {
			detail = fmt.Sprintf("loss %.3f", loss)
		}
		if reward, ok := info.Metrics["objective/scores"]; ok {
			detail = fmt.Sprintf("reward %.3f  KL %.2f", reward, info.Metrics["objective/kl"])
		}
		task.Update(info.Step, detail)
	})
	if err != nil {
		return err
	}
	l.note(name, tokens, task.Done(detail))
	return nil
}

func (l *lab) note(name string, tokens int, took time.Duration) {
	l.stages = append(l.stages, stageRow{Stage: name, Tokens: tokens, Seconds: took.Seconds()})
}

// fineTune is SFT on a copy of p.
func (l *lab) fineTune(ctx context.Context, name string, p *model.Params, examples []data.Example, cfg sft.Config) (*model.Params, error) {
	p = p.Clone()
	steps := (len(examples) + cfg.BatchSize - 1) / cfg.BatchSize * cfg.Epochs
	return p, l.task(name, steps, func(onStep func(train.StepInfo)) (int, error) {
		cfg.OnStep = onStep
		report, err := sft.Train(ctx, p, examples, nil, cfg)
		return report.Tokens, err
	})
}

// rewardModel trains one on top of the chat model.
func (l *lab) rewardModel(ctx context.Context, name string, chat *model.Params, pairs []data.Pair, cfg rewardmodel.Config) (*model.Params, error) {
	p := chat.Clone()
	p.AddHead(rand.New(rand.NewPCG(cfg.Seed, 2)))
	steps := (len(pairs) + cfg.BatchSize - 1) / cfg.BatchSize * cfg.Epochs
	return p, l.task(name, steps, func(onStep func(train.StepInfo)) (int, error) {
		cfg.OnStep = onStep
		report, err := rewardmodel.Train(ctx, p, pairs, nil, cfg)
		return report.Tokens, err
	})
}

// sample gives one answer at temperature 1 to each prompt.
func (l *lab) sample(ctx context.Context, name string, p *model.Params, prompts []prompt) ([]data.Answer, error) {
	requests := make([]generate.Request, len(prompts))
	for i, prompt := range prompts {
		requests[i] = generate.Request{Prompt: prompt.tokens, ID: data.StreamKey(prompt.ID), Samples: 1}
	}
	task := l.console.Start(name, len(prompts))
	cfg := generate.Sampling{
		MaxNewTokens: l.maxAnswer, Temperature: 1, TopP: 1, Stop: []int32{l.tok.EOS()}, Seed: l.seed + 7, Slots: 64,
		OnProgress: func(done, _ int) { task.Update(done, "") },
	}
	sampled, err := generate.Generate(ctx, p, requests, cfg)
	if err != nil {
		return nil, err
	}
	answers := make([]data.Answer, len(prompts))
	tokens, asked := 0, tokenPrompts(prompts)
	for i, samples := range sampled {
		answers[i] = samples[0].Answer(asked[i])
		tokens += len(answers[i].Tokens)
	}
	l.note(name, tokens, task.Done(fmt.Sprintf("%d answers", len(answers))))
	return answers, nil
}
