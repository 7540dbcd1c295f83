// Package lab is the small world in which the long examples work: its texts and people, the recipe of its models, and the measures that
// its oracle takes.
package lab

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/console"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/distill"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/pretrain"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
	"github.com/tame-rlhf/tame/pkg/sft"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
	"github.com/tame-rlhf/tame/pkg/train"
	"github.com/tame-rlhf/tame/pkg/world"
)

// Lab holds what the stages share. No stage sees an oracle: they are asked in measure.go, for reports.
type Lab struct {
	Settings
	Console *console.Console

	World     *world.World
	Annotator *world.Annotator
	Public    *world.Annotator
	Tok       *tokenizer.Tokenizer
	Tmpl      *data.Template

	Stages []Stage // what was done so far

	Work string // folder in which training keeps itself, to go on after a stop; empty: it does not
}

// Stage is what a stage took.
type Stage struct {
	Stage   string  `json:"stage"`
	Tokens  int     `json:"tokens"` // read or sampled; 0 where nobody counts
	Seconds float64 `json:"seconds"`
}

// New makes the world and its people, and trains the tokenizer.
func New(ctx context.Context, s Settings, c *console.Console) (*Lab, error) {
	w, err := world.New(s.World)
	if err != nil {
		return nil, err
	}
	l := &Lab{Settings: s, Console: c, World: w}
	if l.Annotator, err = world.NewAnnotator(w, s.Annotator); err != nil {
		return nil, err
	}
	if l.Public, err = world.NewAnnotator(w, s.Public); err != nil {
		return nil, err
	}
	demos, err := l.conversations()
	if err != nil {
		return nil, err
	}
	cfg := tokenizer.DefaultTrainConfig()
	cfg.VocabSize = s.Vocab
	cfg.UserDefined = pieces
	if l.Tok, err = tokenizer.Train(ctx, texts(w, demos), cfg); err != nil {
		return nil, err
	}
	l.Tmpl, err = data.PieceTemplate(l.Tok)
	return l, err
}

// Task runs a stage with its progress and notes its tokens and seconds.
func (l *Lab) Task(name string, total int, run func(onStep func(train.StepInfo)) (tokens int, err error)) error {
	task := l.Console.Start(name, total)
	detail := ""
	tokens, err := run(func(info train.StepInfo) {
		detail = Detail(info.Metrics)
		task.Update(info.Step, detail)
	})
	if err != nil {
		return err
	}
	l.Note(name, tokens, task.Done(detail))
	return nil
}

// Detail is what there is to tell of a step in a few words.
func Detail(metrics map[string]float64) (detail string) {
	if loss, ok := metrics["loss"]; ok {
		detail = fmt.Sprintf("loss %.3f", loss)
	}
	if scores, ok := metrics["objective/scores"]; ok {
		detail = fmt.Sprintf("reward %.3f", scores)
	}
	if accuracy, ok := metrics["accuracy"]; ok {
		detail += fmt.Sprintf("  accuracy %.2f", accuracy)
	}
	return detail
}

// Note adds a line to the table of stages.
func (l *Lab) Note(name string, tokens int, took time.Duration) {
	l.Stages = append(l.Stages, Stage{Stage: name, Tokens: tokens, Seconds: took.Seconds()})
}

// Base trains a model from scratch on the world's text.
func (l *Lab) Base(ctx context.Context) (*model.Params, error) {
	p := model.NewParams(l.Model, tensor.Float32)
	p.Init(rand.New(rand.NewPCG(l.World.Config().Seed, 1)))
	docs := pretrain.Encode(l.Tok, slices.Collect(l.World.Pretraining()))
	return p, l.Task("pretraining", l.Pretrain.Steps, func(onStep func(train.StepInfo)) (int, error) {
		cfg := l.Pretrain
		cfg.Checkpointing, cfg.OnStep = l.keep("pretraining"), onStep
		report, err := pretrain.Train(ctx, p, docs, nil, cfg)
		return report.Tokens, err
	})
}

// keep is where a stage keeps itself.
func (l *Lab) keep(name string) train.Checkpointing {
	if l.Work == "" {
		return train.Checkpointing{}
	}
	return train.Checkpointing{Dir: filepath.Join(l.Work, name), Every: 100}
}

// conversations are all demonstrations: single questions, with and without an instruction or a pre-prompt, and dialogues of many turns.
func (l *Lab) conversations() ([]data.Conversation, error) {
	short, err := l.World.DialogDemonstrations(l.Instructed, 1, 1)
	if err != nil {
		return nil, err
	}
	long, err := l.World.DialogDemonstrations(l.Dialogs, 1, l.MaxTurns)
	return slices.Concat(l.World.Demonstrations(), short, long, l.World.PrePromptDemonstrations(l.PrePrompted)), err
}

// texts are what the tokenizer learns from.
func texts(w *world.World, demos []data.Conversation) iter.Seq[string] {
	return func(yield func(string) bool) {
		for text := range w.Pretraining() {
			if !yield(text) {
				return
			}
		}
		for _, d := range demos {
			for _, m := range d.Messages {
				if !yield(m.Content) {
					return
				}
			}
		}
	}
}

// Demonstrations are the examples of SFT.
func (l *Lab) Demonstrations() ([]data.Example, error) {
	all, err := l.conversations()
	if err != nil {
		return nil, err
	}
	return sft.Encode(l.Tmpl, all, data.AllTurns)
}

// FineTune is SFT on a copy of p.
func (l *Lab) FineTune(ctx context.Context, name string, p *model.Params, examples []data.Example, cfg sft.Config) (*model.Params, error) {
	p = p.Clone()
	steps := (len(examples) + cfg.BatchSize - 1) / cfg.BatchSize * cfg.Epochs
	return p, l.Task(name, steps, func(onStep func(train.StepInfo)) (int, error) {
		cfg.Checkpointing, cfg.OnStep = l.keep(name), onStep
		report, err := sft.Train(ctx, p, examples, nil, cfg)
		return report.Tokens, err
	})
}

// RewardModel trains one on top of a chat model.
func (l *Lab) RewardModel(ctx context.Context, name string, chat *model.Params, pairs []data.Pair, cfg rewardmodel.Config) (*model.Params, error) {
	p := chat.Clone()
	p.AddHead(rand.New(rand.NewPCG(cfg.Seed, 2)))
	steps := (len(pairs) + cfg.BatchSize - 1) / cfg.BatchSize * cfg.Epochs
	return p, l.Task(name, steps, func(onStep func(train.StepInfo)) (int, error) {
		cfg.OnStep = onStep
		report, err := rewardmodel.Train(ctx, p, pairs, nil, cfg)
		return report.Tokens, err
	})
}

// Data is what the iteration works on. Open data is made by the public on the chat model's answers: a choice without rating and labels.
func (l *Lab) Data(ctx context.Context, chat *model.Params) (pipeline.Data, error) {
	open, err := l.Compare(ctx, "open data answers", [2]*model.Params{chat, chat}, l.Public, l.openPrompts(), l.OpenPairs, data.HelpfulnessSet)
	if err != nil {
		return pipeline.Data{}, err
	}
	d := pipeline.Data{
		Start: chat, Tokenizer: l.Tok, Template: l.Tmpl,
		Helpfulness: l.World.PreferencePrompts(data.HelpfulnessSet), Safety: l.World.PreferencePrompts(data.SafetySet),
		Prompts: l.World.RLPrompts(), Validation: l.World.ValidationPrompts(),
		Adversarial: adversarial(l.World.RLPrompts()),
		Annotate:    l.Annotate,
		Lineage:     data.Lineage{Stage: "SFT in the small world", Seed: l.World.Config().Seed},
	}
	pre := l.World.PrePrompts()
	if d.PrePrompts, err = distill.Targeted(pre.Targeted, l.World.Category); err != nil {
		return d, err
	}
	if d.Dialogs, err = l.GhostDialogs(); err != nil {
		return d, err
	}
	for _, c := range open {
		p := c.Preference
		if chosen, rejected := p.Dialogs(); data.CheckMessages(chosen) != nil || data.CheckMessages(rejected) != nil {
			continue // a model that has learned little may answer with a tag
		}
		p.Rating, p.ChosenSafe, p.RejectedSafe = data.NegligiblyBetter, data.SafetyUnknown, data.SafetyUnknown
		d.Open = append(d.Open, p)
	}
	return d, nil
}

// adversarial are the prompts with the safety tag.
func adversarial(prompts []data.Prompt) []data.Prompt {
	return slices.DeleteFunc(prompts, func(p data.Prompt) bool { return !p.Safety })
}

// Annotate asks the annotators, a pipeline.Annotate.
func (l *Lab) Annotate(_ context.Context, list []pipeline.Comparison) ([]*data.Preference, error) {
	said := make([]*data.Preference, len(list))
	for i, c := range list {
		p, ok, err := l.Annotator.Compare(c.Prompt, c.First, c.Second, c.Set)
		if err != nil {
			return nil, err
		}
		if ok {
			said[i] = &p
		}
	}
	return said, nil
}

// openPrompts are those of the demonstrations.
func (l *Lab) openPrompts() []data.Prompt {
	demos := l.World.Demonstrations()
	prompts := make([]data.Prompt, len(demos))
	for i, d := range demos {
		messages := d.Messages[:len(d.Messages)-1]
		prompts[i] = data.Prompt{ID: fmt.Sprintf("open %d %s", i, data.DialogID(messages)), Messages: messages}
	}
	return prompts
}
