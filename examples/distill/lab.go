package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/generate"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pretrain"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
	"github.com/tame-rlhf/tame/pkg/sft"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
	"github.com/tame-rlhf/tame/pkg/world"
	"github.com/tame-rlhf/tame/pkg/world/oracle"
)

// lab holds what the stages share.
type lab struct {
	settings
	out       io.Writer
	world     *world.World
	annotator *world.Annotator
	oracle    *oracle.Oracle // for reports only
	tok       *tokenizer.Tokenizer
	tmpl      *data.Template
}

func newLab(ctx context.Context, s settings, out io.Writer) (*lab, error) {
	l := &lab{settings: s, out: out}
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
func (l *lab) note(start time.Time, format string, args ...any) {
	fmt.Fprintf(l.out, "%5.1f s  %s\n", time.Since(start).Seconds(), fmt.Sprintf(format, args...))
}

// chatModel is pretraining and SFT.
func (l *lab) chatModel(ctx context.Context) (*model.Params, error) {
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
func (l *lab) safetyModel(ctx context.Context, chat *model.Params) (*rewardmodel.Scorer, error) {
	start := time.Now()
	asked := l.world.PreferencePrompts(data.SafetySet)
	requests, err := l.requests(asked, 2*l.pairs)
	if err != nil {
		return nil, err
	}
	answers, texts, err := l.sample(ctx, chat, requests)
	if err != nil {
		return nil, err
	}
	var pairs []data.Pair
	for i, prompt := range asked {
		for k := 0; k < 2*l.pairs; k += 2 {
			pref, ok, err := l.annotator.Compare(prompt, texts[i][k], texts[i][k+1], data.SafetySet)
			if err != nil {
				return nil, err
			}
			if !ok {
				continue
			}
			chosen, rejected := answers[i][k].Tokens, answers[i][k+1].Tokens
			if pref.Chosen != texts[i][k] {
				chosen, rejected = rejected, chosen
			}
			pairs = append(pairs, data.Pair{
				Prompt: requests[i].Prompt, Chosen: chosen, Rejected: rejected, Rating: pref.Rating,
				ChosenSafe: pref.ChosenSafe, RejectedSafe: pref.RejectedSafe, Set: data.SafetySet,
			})
		}
	}
	p := chat.Clone()
	p.AddHead(rand.New(rand.NewPCG(l.safety.Seed, 2)))
	report, err := rewardmodel.Train(ctx, p, pairs, nil, l.safety)
	if err != nil {
		return nil, err
	}
	l.note(start, "safety reward model on %d pairs: loss %.2f", len(pairs), report.Loss)
	return rewardmodel.NewScorer(p, l.safety.MicroTokens, l.safety.MicroSegments)
}

// alarming are the prompts for RLHF in which a harmful word occurs, most of them asking for harm.
func (l *lab) alarming() []data.Prompt {
	return slices.DeleteFunc(l.world.RLPrompts(), func(p data.Prompt) bool { return l.world.Category(p) == "" })
}

// normal are the demonstrations without a harmful word in the prompt, so that the model does not forget how to answer.
func (l *lab) normal() []data.Conversation {
	return slices.DeleteFunc(l.world.Demonstrations(), func(d data.Conversation) bool {
		return l.world.Category(data.Prompt{Messages: d.Messages}) != ""
	})
}

// evaluate measures one answer to each test prompt, and prints the row; prePrompts by category are put before the prompts, nil is none.
func (l *lab) evaluate(ctx context.Context, p *model.Params, prePrompts map[string]string, name string, examples int) (row, error) {
	prompts := l.world.TestPrompts()
	for i := range prompts {
		if text := prePrompts[l.world.Category(prompts[i])]; text != "" {
			prompts[i].Messages = append([]data.Message{{Role: data.System, Content: text}}, prompts[i].Messages...)
		}
	}
	requests, err := l.requests(prompts, 1)
	if err != nil {
		return row{}, err
	}
	_, texts, err := l.sample(ctx, p, requests)
	if err != nil {
		return row{}, err
	}
	verdicts := make([]oracle.Verdict, len(prompts))
	var helpfulness []float64
	for i, prompt := range prompts {
		if verdicts[i], err = l.oracle.Judge(prompt, texts[i][0]); err != nil {
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

func (l *lab) requests(prompts []data.Prompt, samples int) ([]generate.Request, error) {
	requests := make([]generate.Request, len(prompts))
	for i, p := range prompts {
		ids, err := l.tmpl.EncodePrompt(p.Messages)
		if err != nil {
			return nil, err
		}
		requests[i] = generate.Request{Prompt: ids, ID: data.StreamKey(p.ID), Samples: samples}
	}
	return requests, nil
}

// sample gives the answers to each request, as tokens and as text.
func (l *lab) sample(ctx context.Context, p *model.Params, requests []generate.Request) ([][]generate.Sample, [][]string, error) {
	cfg := generate.DefaultSampling()
	cfg.MaxNewTokens, cfg.Stop, cfg.Seed = l.distill.MaxNewTokens, l.distill.Stop, 7
	answers, err := generate.Generate(ctx, p, requests, cfg)
	if err != nil {
		return nil, nil, err
	}
	texts := make([][]string, len(answers))
	for i, list := range answers {
		for _, a := range list {
			text, err := l.tok.Decode(a.Tokens)
			if err != nil {
				return nil, nil, err
			}
			texts[i] = append(texts[i], text)
		}
	}
	return answers, texts, nil
}
