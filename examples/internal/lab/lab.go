// Package lab is the small world in which the long examples work: its texts and people, the recipe of its models, and the measures that
// its oracle takes.
package lab

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/console"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/distill"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/pretrain"
	"github.com/tame-rlhf/tame/pkg/sft"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
	"github.com/tame-rlhf/tame/pkg/train"
	"github.com/tame-rlhf/tame/pkg/world"
)

// Lab holds what the stages share. No stage sees an oracle: they are asked in measure.go, for reports.
type Lab struct {
	Settings
	Bench

	World     *world.World
	Annotator *world.Annotator
	Public    *world.Annotator
}

// New makes the world and its people, and trains the tokenizer.
func New(ctx context.Context, s Settings, c *console.Console) (*Lab, error) {
	w, err := world.New(s.World)
	if err != nil {
		return nil, err
	}
	l := &Lab{Settings: s, Bench: Bench{Console: c, Longest: s.MaxAnswer, Detail: Detail}, World: w}
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
	if l.Tok, err = tokenizer.Train(ctx, Texts(w, demos), cfg); err != nil {
		return nil, err
	}
	l.Tmpl, err = data.PieceTemplate(l.Tok)
	return l, err
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

// conversations are all demonstrations: single questions, with and without an instruction or a pre-prompt, and dialogues of many turns.
func (l *Lab) conversations() ([]data.Conversation, error) {
	short, err := l.World.DialogDemonstrations(l.Instructed, 1, 1)
	if err != nil {
		return nil, err
	}
	long, err := l.World.DialogDemonstrations(l.Dialogs, 1, l.MaxTurns)
	return slices.Concat(l.World.Demonstrations(), short, long, l.World.PrePromptDemonstrations(l.PrePrompted)), err
}

// Texts are what the tokenizer learns from.
func Texts(w *world.World, demos []data.Conversation) iter.Seq[string] {
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

// Data is what the iteration works on. Open data is made by the public on the chat model's answers: a choice without rating and labels.
func (l *Lab) Data(ctx context.Context, chat *model.Params) (pipeline.Data, error) {
	open, err := l.Compare(ctx, "open data answers", chat, l.Public, l.openPrompts(), l.OpenPairs, data.HelpfulnessSet)
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
		p := Preference(c)
		if chosen, rejected := p.Dialogs(); data.CheckMessages(chosen) != nil || data.CheckMessages(rejected) != nil {
			continue // a model that has learned little may answer with a tag
		}
		p.Rating, p.ChosenSafe, p.RejectedSafe = data.NegligiblyBetter, data.SafetyUnknown, data.SafetyUnknown
		d.Open = append(d.Open, p)
	}
	return d, nil
}

// LoadJudges loads the reward models of a version.
func (l *Lab) LoadJudges(v pipeline.Version) (j *pipeline.Judges, helpfulness, safety *model.Params, err error) {
	if helpfulness, err = model.Load(v.Helpfulness); err != nil {
		return nil, nil, nil, err
	}
	if safety, err = model.Load(v.Safety); err != nil {
		return nil, nil, nil, err
	}
	j, err = pipeline.NewJudges(helpfulness, safety, pipeline.JudgesConfig{
		SafetyThreshold: l.Iteration.PPO.SafetyThreshold, MicroTokens: MicroTokens, MicroSegments: MicroSegments,
	})
	return j, helpfulness, safety, err
}

// Watch shows the progress of the iteration.
func (l *Lab) Watch() func(pipeline.Event) {
	var task *console.Task
	step, detail, tokens, last := "", "", 0, time.Now()
	return func(e pipeline.Event) {
		if g := e.Contradiction; g != nil {
			l.Console.Printf("the level of %s contradicts the gate: %d of %d caught answers gain by being caught", e.Step, g.Gains, g.Caught)
			return
		}
		if e.Step != step {
			step, detail, tokens = e.Step, "", 0
			task = l.Console.Start(e.Step, max(e.Total, 1))
		}
		if e.Metrics != nil {
			detail, tokens = Detail(e.Metrics), int(e.Metrics["num_tokens"])
		}
		if !e.Finished {
			task.Update(e.Done, detail)
			return
		}
		task.Done(detail)
		l.Note(e.Step, tokens, time.Since(last))
		last = time.Now()
	}
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
