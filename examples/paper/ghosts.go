package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/gatt"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/sft"
	"github.com/tame-rlhf/tame/pkg/train"
)

// arm is a way to fine-tune the first version that has Ghost Attention. All arms have the same
// start, the same best answers and distilled examples, and the same settings.
type arm struct {
	name  string
	path  string // in the cache
	ghost bool   // with examples of Ghost Attention
	every bool   // with the loss on every answer of a dialogue
}

// Arms of Table 30. The paper sets the loss to 0 on everything but the last answer (section 3.3).
var arms = [3]arm{
	{name: "without Ghost Attention", path: "ghosts/without"},
	{name: "with it, loss on the last answer (the paper's rule)", path: "ghosts/last-answer", ghost: true},
	{name: "with it, loss on every answer (EveryTurn)", path: "ghosts/every-turn", ghost: true, every: true},
}

// ghostVersion is the first version with Ghost Attention.
func (b *bench) ghostVersion() int { return min(b.Iteration.GAttFrom, len(b.rounds)) }

// tunedAs is the first version with Ghost Attention, fine-tuned as an arm says. The run's own model
// is one of them.
func (b *bench) tunedAs(ctx context.Context, a arm) (*model.Params, error) {
	v := b.ghostVersion()
	if a.ghost && a.every == b.Iteration.GAtt.EveryTurn && v >= b.Iteration.GAttFrom {
		return model.Load(b.rounds[v-1].Tuned)
	}
	return b.retuned(ctx, v, a)
}

// retuned repeats the fine-tuning of a version as an arm says.
func (b *bench) retuned(ctx context.Context, v int, a arm) (*model.Params, error) {
	policy, from := startName, startName
	if v > 1 {
		policy = runName + "/" + b.rounds[v-2].Name()
	}
	if !b.Iteration.FromStart {
		from = policy
	}
	winners, distilled := fmt.Sprintf("%s/v%d/winners.arrow", runName, v), fmt.Sprintf("%s/v%d/distilled.arrow", runName, v)
	inputs := []string{from, winners}
	if _, err := os.Stat(b.path(distilled)); err == nil {
		inputs = append(inputs, distilled)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	cfg := b.Iteration.GAtt
	cfg.EveryTurn = a.every
	s := step{"SFT with other examples of Ghost Attention", struct {
		FineTune sft.Config
		GAtt     gatt.Config
		Ghost    bool
		Dialogs  int
	}{b.Iteration.FineTune, cfg, a.ghost, b.Ghosts}, b.Iteration.FineTune.Seed, inputs}
	return b.params(a.path, s, func(keep train.Checkpointing) (*model.Params, error) {
		best, err := readRows[data.Sample](b.path(winners))
		if err != nil {
			return nil, err
		}
		examples := numbers(best, func(w data.Sample) data.Example { return data.Join(w.Prompt, w.Tokens) })
		ghosts, err := b.ghostExamples(ctx, policy, a, cfg)
		if err != nil {
			return nil, err
		}
		examples = append(examples, ghosts...)
		if slices.Contains(inputs, distilled) {
			rows, err := readRows[pipeline.Example](b.path(distilled))
			if err != nil {
				return nil, err
			}
			for _, e := range rows {
				examples = append(examples, data.NewExample(e.Tokens, e.Counted))
			}
		}
		p, err := model.Load(b.path(from))
		if err != nil {
			return nil, err
		}
		return b.fineTune(ctx, fmt.Sprintf("V%d, %s", v, a.name), p, examples, b.Iteration.FineTune, keep)
	})
}

// ghostExamples are an arm's examples of Ghost Attention. The dialogues are sampled again and are
// those of the run, since their random streams are.
func (b *bench) ghostExamples(ctx context.Context, policy string, a arm, cfg gatt.Config) ([]data.Example, error) {
	if !a.ghost {
		return nil, nil
	}
	dialogs, err := b.GhostDialogs()
	if err != nil {
		return nil, err
	}
	p, err := model.Load(b.path(policy))
	if err != nil {
		return nil, err
	}
	transcripts, err := gatt.SampleDialogues(ctx, p, b.Tmpl, b.Tok, dialogs, cfg)
	if err != nil {
		return nil, err
	}
	return gatt.Examples(b.Tmpl, transcripts, cfg)
}
