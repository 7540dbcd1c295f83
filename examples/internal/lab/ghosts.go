package lab

import (
	"context"

	"github.com/tame-rlhf/tame/pkg/gatt"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/world"
	"github.com/tame-rlhf/tame/pkg/world/oracle"
)

// Dialogs are dialogues with an instruction each, and what says how much of it an answer keeps.
func Dialogs(list []world.Dialog, instructions []world.Instruction) ([]gatt.Dialog, gatt.Checker) {
	given := map[string]world.Instruction{}
	out := make([]gatt.Dialog, len(list))
	for i, d := range list {
		in := instructions[i]
		given[d.ID] = in
		out[i] = gatt.Dialog{ID: d.ID, Instruction: in.Full(), Short: in.Short(), Questions: d.Questions}
	}
	return out, func(d gatt.Dialog, answer string) (kept, total int) { return oracle.Kept(given[d.ID], answer) }
}

// GhostDialogs are the dialogues of Ghost Attention, of 2 to MaxTurns turns.
func (l *Lab) GhostDialogs() ([]gatt.Dialog, error) {
	list, err := l.World.Dialogs(l.Ghosts, 2, l.MaxTurns)
	if err != nil {
		return nil, err
	}
	dialogs, _ := Dialogs(list, l.World.Instructions(l.Ghosts, 1))
	return dialogs, nil
}

// Kept measures how much of an instruction that was given in the first turn a model keeps in later ones (Table 30), in answers sampled at temperature 1.
// Neither the questions nor the combinations of attributes were in any training data.
func (l *Lab) Kept(ctx context.Context, name string, p *model.Params, turns ...int) ([]gatt.Point, error) {
	list, err := l.World.TestDialogs(l.TestDialogs, l.MaxTurns, l.MaxTurns)
	if err != nil {
		return nil, err
	}
	dialogs, kept := Dialogs(list, l.World.TestInstructions(l.TestDialogs, 1))
	task := l.Console.Start("dialogues of "+name, l.TestDialogs*l.MaxTurns)
	cfg := l.Iteration.GAtt
	cfg.Temperature = 1 // as for all that is reported
	cfg.OnProgress = func(done, _ int) { task.Update(done, "") }
	points, _, err := gatt.Evaluate(ctx, p, l.Tmpl, l.Tok, dialogs, kept, cfg, turns...)
	l.Note("dialogues of "+name, 0, task.Done(""))
	return points, err
}
