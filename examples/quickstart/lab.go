package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/console"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/generate"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pretrain"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
	"github.com/tame-rlhf/tame/pkg/sft"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
	"github.com/tame-rlhf/tame/pkg/train"
	"github.com/tame-rlhf/tame/pkg/world"
)

// lab holds what the stages share. No stage sees an oracle: those are in report.go.
type lab struct {
	settings
	console *console.Console

	world     *world.World
	annotator *world.Annotator
	public    *world.Annotator
	tok       *tokenizer.Tokenizer
	tmpl      *data.Template

	stages []stageRow // of the final table
}

// stageRow is a line of the table of stages.
type stageRow struct {
	Stage   string  `json:"stage"`
	Tokens  int     `json:"tokens"`
	Seconds float64 `json:"seconds"`
}

func newLab(s settings, c *console.Console) (*lab, error) {
	w, err := world.New(s.world)
	if err != nil {
		return nil, err
	}
	annotator, err := world.NewAnnotator(w, s.annotator)
	if err != nil {
		return nil, err
	}
	public, err := world.NewAnnotator(w, s.public)
	return &lab{settings: s, console: c, world: w, annotator: annotator, public: public}, err
}

// task runs a stage with its progress and notes its tokens and seconds.
func (l *lab) task(name string, total int, run func(onStep func(train.StepInfo)) (tokens int, err error)) error {
	task := l.console.Start(name, total)
	detail := ""
	tokens, err := run(func(info train.StepInfo) {
		detail = ""
		if loss, ok := info.Metrics["loss"]; ok {
			detail = fmt.Sprintf("loss %.3f", loss)
		}
		if scores, ok := info.Metrics["objective/scores"]; ok {
			detail = fmt.Sprintf("reward %.3f", scores)
		}
		if accuracy, ok := info.Metrics["accuracy"]; ok {
			detail += fmt.Sprintf("  accuracy %.2f", accuracy)
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

// tokenizer trains the vocabulary on a part of the pretraining text.
func (l *lab) trainTokenizer(ctx context.Context) error {
	cfg := tokenizer.DefaultTrainConfig()
	cfg.VocabSize = l.vocab
	cfg.UserDefined = pieces
	var err error
	if l.tok, err = tokenizer.Train(ctx, l.world.Pretraining(), cfg); err != nil {
		return err
	}
	l.tmpl, err = data.PieceTemplate(l.tok)
	return err
}

// pretrainModel trains a model from scratch on the world's text.
func (l *lab) pretrainModel(ctx context.Context) (*model.Params, error) {
	p := model.NewParams(l.model, tensor.Float32)
	p.Init(rand.New(rand.NewPCG(l.world.Config().Seed, 1)))
	docs := pretrain.Encode(l.tok, slices.Collect(l.world.Pretraining()))
	return p, l.task("pretraining", l.pretrain.Steps, func(onStep func(train.StepInfo)) (int, error) {
		cfg := l.pretrain
		cfg.OnStep = onStep
		report, err := pretrain.Train(ctx, p, docs, cfg)
		return report.Tokens, err
	})
}

// fineTune is SFT on a copy of p.
func (l *lab) fineTune(ctx context.Context, name string, p *model.Params, examples []sft.Example, cfg sft.Config) (*model.Params, error) {
	p = p.Clone()
	steps := (len(examples) + cfg.BatchSize - 1) / cfg.BatchSize * cfg.Epochs
	return p, l.task(name, steps, func(onStep func(train.StepInfo)) (int, error) {
		cfg.OnStep = onStep
		report, err := sft.Train(ctx, p, examples, cfg)
		return report.Tokens, err
	})
}

// answer is a sampled answer with its text.
type answer struct {
	prompt data.Prompt
	ids    []int32 // of the prompt
	sample generate.Sample
	text   string
}

// sample gives n answers to each prompt, side by side.
func (l *lab) sample(ctx context.Context, name string, p *model.Params, prompts []data.Prompt, n int, temperature float64, seed uint64) ([]answer, error) {
	requests := make([]generate.Request, len(prompts))
	for i, prompt := range prompts {
		ids, err := l.tmpl.EncodePrompt(prompt.Messages)
		if err != nil {
			return nil, err
		}
		requests[i] = generate.Request{Prompt: ids, ID: data.StreamKey(prompt.ID), Samples: n}
	}
	cfg := generate.Config{
		MaxNewTokens: l.maxAnswer, Temperature: temperature, TopP: 1,
		Stop: []int32{l.tok.EOS()}, Seed: seed, Slots: 64,
	}
	task := l.console.Start(name, len(prompts)*n)
	sampled, err := generate.Generate(ctx, p, requests, cfg, func(done, _ int) { task.Update(done, "") })
	if err != nil {
		return nil, err
	}
	answers := make([]answer, 0, len(prompts)*n)
	tokens := 0
	for i, samples := range sampled {
		for _, s := range samples {
			text, err := l.tok.Decode(s.Tokens)
			if err != nil {
				return nil, err
			}
			answers = append(answers, answer{prompt: prompts[i], ids: requests[i].Prompt, sample: s, text: text})
			tokens += len(s.Tokens)
		}
	}
	l.note(name, tokens, task.Done(fmt.Sprintf("%d answers", len(answers))))
	return answers, nil
}

// comparison is a pair of answers as its tokens, with the annotator's preference.
type comparison struct {
	pair       rewardmodel.Pair
	preference data.Preference
}

// compare samples two answers per prompt, at two temperatures, and asks an annotator. Reward models get the tokens
// that were sampled; only annotators read text.
func (l *lab) compare(ctx context.Context, name string, p *model.Params, who *world.Annotator, prompts []data.Prompt, pairs int, sets ...data.Set) ([]comparison, error) {
	var sides [2][]answer
	for k, temperature := range l.pairTemperatures {
		var err error
		if sides[k], err = l.sample(ctx, fmt.Sprintf("%s %d", name, k+1), p, prompts, pairs, temperature, uint64(100+k)); err != nil {
			return nil, err
		}
	}
	var list []comparison
	for i, first := range sides[0] {
		for _, set := range sets {
			pref, ok, err := who.Compare(first.prompt, first.text, sides[1][i].text, set)
			if err != nil {
				return nil, err
			}
			if !ok {
				continue
			}
			chosen, rejected := first, sides[1][i]
			if pref.Chosen != first.text {
				chosen, rejected = rejected, chosen
			}
			list = append(list, comparison{preference: pref, pair: rewardmodel.Pair{
				Prompt: first.ids, Chosen: chosen.sample.Tokens, Rejected: rejected.sample.Tokens,
				Rating: pref.Rating, ChosenSafe: pref.ChosenSafe, RejectedSafe: pref.RejectedSafe, Set: set,
			}})
		}
	}
	return list, nil
}

// rewardModel trains one on top of the chat model.
func (l *lab) rewardModel(ctx context.Context, name string, chat *model.Params, pairs []rewardmodel.Pair, cfg rewardmodel.Config) (*model.Params, error) {
	p := chat.Clone()
	p.AddHead(rand.New(rand.NewPCG(cfg.Seed, 2)))
	steps := (len(pairs) + cfg.BatchSize - 1) / cfg.BatchSize * cfg.Epochs
	return p, l.task(name, steps, func(onStep func(train.StepInfo)) (int, error) {
		cfg.OnStep = onStep
		report, err := rewardmodel.Train(ctx, p, pairs, cfg)
		return report.Tokens, err
	})
}
