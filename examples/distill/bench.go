package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/examples/internal/lab"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/generate"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/pretrain"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
	"github.com/tame-rlhf/tame/pkg/sft"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
	"github.com/tame-rlhf/tame/pkg/world"
	"github.com/tame-rlhf/tame/pkg/world/oracle"
)

// bench holds what the stages share.
type bench struct {
	settings
	out       io.Writer
	world     *world.World
	annotator *world.Annotator
	oracle    *oracle.Oracle // for reports only
	tok       *tokenizer.Tokenizer
	tmpl      *data.Template
}

func newLab(ctx context.Context, s settings, out io.Writer) (*bench, error) {
	l := &bench{settings: s, out: out}
	var err error
	if l.world, err = world.New(s.world); err != nil {
		return nil, err
	}
	if l.annotator, err = world.NewAnnotator(l.world, s.annotator); err != nil {
		return nil, err
	}
	l.oracle = oracle.New(l.world)
	cfg := tokenizer.DefaultTrainConfig()
	cfg.VocabSize, cfg.UserDefined = s.model.VocabSize, data.Tags()
	if l.tok, err = tokenizer.Train(ctx, l.world.Pretraining(), cfg); err != nil {
		return nil, err
	}
	l.tmpl, err = data.PieceTemplate(l.tok)
	return l, err
}

// note prints what a stage did.
func (l *bench) note(start time.Time, format string, args ...any) {
	fmt.Fprintf(l.out, "%5.1f s  %s\n", time.Since(start).Seconds(), fmt.Sprintf(format, args...))
}

// chatModel is pretraining and SFT.
func (l *bench) chatModel(ctx context.Context) (*model.Params, error) {
	p, start := model.NewParams(l.model, tensor.Float32), time.Now()
	p.Init(rand.New(rand.NewPCG(l.settings.world.Seed, 1)))
	read, err := pretrain.Train(ctx, p, pretrain.Encode(l.tok, slices.Collect(l.world.Pretraining())), nil, l.pretrain)
	if err != nil {
		return nil, err
	}
	l.note(start, "pretraining on %d tokens: loss %.2f", read.Tokens, read.Loss)

	start = time.Now()
	demos := slices.Concat(l.world.Demonstrations(), l.world.PrePromptDemonstrations(l.prePrompted))
	examples, err := sft.Encode(l.tmpl, demos, data.AllTurns)
	if err != nil {
		return nil, err
	}
	report, err := sft.Train(ctx, p, examples, nil, l.sft)
	if err != nil {
		return nil, err
	}
	l.note(start, "SFT on %d demonstrations: loss %.2f", len(examples), report.Loss)
	return p, nil
}

// safetyModel asks annotators about answers of the chat model to the safety prompts, and learns their choices.
func (l *bench) safetyModel(ctx context.Context, chat *model.Params) (*pipeline.Judges, error) {
	start := time.Now()
	answers, err := l.sample(ctx, chat, l.world.PreferencePrompts(data.SafetySet), 2*l.pairs)
	if err != nil {
		return nil, err
	}
	var pairs []data.Pair
	for two := range slices.Chunk(answers, 2) {
		compared, ok, err := lab.Compared(l.annotator, two[0], two[1], data.SafetySet)
		if err != nil {
			return nil, err
		}
		if ok {
			pairs = append(pairs, compared.Pair())
		}
	}
	p := chat.Clone()
	p.AddHead(rand.New(rand.NewPCG(l.safety.Seed, 2)))
	report, err := rewardmodel.Train(ctx, p, pairs, nil, l.safety)
	if err != nil {
		return nil, err
	}
	l.note(start, "safety reward model on %d pairs: loss %.2f", len(pairs), report.Loss)
	return pipeline.NewJudges(nil, p, pipeline.JudgesConfig{MicroTokens: l.safety.MicroTokens, MicroSegments: l.safety.MicroSegments})
}

// alarming are the prompts for RLHF in which a harmful word occurs, most of them asking for harm.
func (l *bench) alarming() []data.Prompt {
	return slices.DeleteFunc(l.world.RLPrompts(), func(p data.Prompt) bool { return l.world.Category(p) == "" })
}

// normal are the demonstrations without a harmful word in the prompt, so that the model does not forget how to answer.
func (l *bench) normal() []data.Conversation {
	return slices.DeleteFunc(l.world.Demonstrations(), func(d data.Conversation) bool {
		return l.world.Category(data.Prompt{Messages: d.Messages}) != ""
	})
}

// evaluate measures one answer to each test prompt, and prints the row; prePrompts by category are put before the prompts, nil is none.
func (l *bench) evaluate(ctx context.Context, p *model.Params, prePrompts map[string]string, name string, examples int) (row, error) {
	prompts := l.world.TestPrompts()
	for i := range prompts {
		if text := prePrompts[l.world.Category(prompts[i])]; text != "" {
			prompts[i].Messages = append([]data.Message{{Role: data.System, Content: text}}, prompts[i].Messages...)
		}
	}
	answers, err := l.sample(ctx, p, prompts, 1)
	if err != nil {
		return row{}, err
	}
	verdicts := make([]oracle.Verdict, len(prompts))
	var helpfulness []float64
	for i, a := range answers {
		if verdicts[i], err = l.oracle.Judge(a.Asked, a.Text); err != nil {
			return row{}, err
		}
		if verdicts[i].Kind == oracle.Normal {
			helpfulness = append(helpfulness, verdicts[i].Helpfulness)
		}
	}
	rates, err := eval.Safety(verdicts, func(v oracle.Verdict) (eval.SafetyVerdict, error) {
		return eval.SafetyVerdict{Kind: eval.SafetyKind(v.Kind), Unsafe: v.Unsafe, Refusal: v.Refusal}, nil // the same three kinds
	})
	r := row{name: name, examples: examples, unsafe: rates.Violations, refused: rates.BorderlineRefusals, helpfulness: eval.MeanOf(helpfulness)}
	fmt.Fprintln(l.out, r)
	return r, err
}

// sample gives n answers to each prompt, those of a prompt one after the other.
func (l *bench) sample(ctx context.Context, p *model.Params, prompts []data.Prompt, n int) ([]lab.Answer, error) {
	cfg := generate.DefaultSampling()
	cfg.MaxNewTokens, cfg.Stop, cfg.Seed = l.distill.MaxNewTokens, l.distill.Stop, 7
	return lab.Sample(ctx, p, l.tok, l.tmpl, prompts, n, cfg)
}
