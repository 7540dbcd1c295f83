package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/tame-rlhf/tame/examples/internal/lab"
	"github.com/tame-rlhf/tame/internal/console"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/gatt"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/sft"
)

// ghostSettings are the sizes of Ghost Attention and of its baseline.
type ghostSettings struct {
	demos   int        // demonstrations of instructions
	dialogs int        // to sample and to learn from
	tests   int        // dialogues of as many turns as there are
	turns   int        // of a dialogue, at most: what the context holds with the instruction in every turn
	teach   sft.Config // on the demonstrations
	last    sft.Config // on sampled dialogues
	sample  gatt.Config
}

// ghostRow is how well a model keeps instructions, turn by turn.
type ghostRow struct {
	Model string       `json:"model"`
	Turns []ghostPoint `json:"turns"`
}

// ghostPoint is gatt.Point with names for JSON.
type ghostPoint struct {
	Turn int       `json:"turn"`
	Kept eval.Mean `json:"kept"` // share of the two attributes, a dialogue as the unit
	Lost int       `json:"lost"` // dialogues that ended before this turn: they keep nothing
}

// ghostAnswer is a turn of a test dialogue.
type ghostAnswer struct {
	Question string `json:"question"`
	Baseline string `json:"baseline"`
	Ghost    string `json:"ghost_attention"`
}

// ghosts are the results of Ghost Attention.
type ghosts struct {
	Rows        []ghostRow    `json:"rows"`
	Examples    int           `json:"examples"`    // dialogues that both were trained on
	Instruction string        `json:"instruction"` // of the example
	Example     []ghostAnswer `json:"example"`
}

// ghostAttention teaches a copy of the chat model instructions, and makes it hold to them over a dialogue (section 3.3). No other stage goes on from it. The
// baseline has the same start, dialogues and steps; its answers are sampled with the instruction in the first turn only.
func (l *bench) ghostAttention(ctx context.Context, chat *model.Params) (r ghosts, err error) {
	g, known, heldOut := l.ghost, l.corpus.train.dialogs, l.corpus.heldOut.dialogs
	taught, untaught := wishes()
	stream := func(n uint64) *rand.Rand { return rand.New(rand.NewPCG(l.seed, n)) }
	test, kept := instructed(heldOut, untaught, g.tests, g.turns, g.turns, rand.New(rand.NewPCG(splitSeed, 3))) // the same whatever the seed
	training, _ := instructed(known, taught, g.dialogs, 2, g.turns, stream(4))

	// 1. The model has to follow an instruction in the turn that gives it.
	demos, err := sft.Encode(l.Tmpl, demonstrations(known, taught, g.demos, g.turns, stream(5)), data.AllTurns)
	if err != nil {
		return r, err
	}
	demos = slices.DeleteFunc(demos, func(e data.Example) bool { return len(e.Tokens) > chat.Config().MaxSeqLen })
	start, err := l.FineTune(ctx, "SFT on instructions", chat, demos, g.teach)
	if err != nil {
		return r, err
	}
	measure := func(name string, p *model.Params, cfg gatt.Config) ([]gatt.Transcript, error) {
		transcripts, err := l.sampleDialogues(ctx, "test dialogues of "+name, p, test, cfg)
		row := ghostRow{Model: name}
		for turn := 1; turn <= g.turns && err == nil; turn++ {
			row.Turns = append(row.Turns, ghostPoint(gatt.Score(transcripts, kept, turn)[0]))
		}
		r.Rows = append(r.Rows, row)
		return transcripts, err
	}
	once, repeated := g.sample, g.sample
	once.Repeat, repeated.Repeat = false, true
	warm := once
	warm.Temperature, warm.TopP = 1, 1
	if _, err = measure("SFT, told in every turn", start, repeated); err != nil {
		return r, err
	}
	if _, err = measure("SFT", start, once); err != nil {
		return r, err
	}

	// 2. Both sample, and both learn from as many dialogues.
	var made [2][]data.Example
	for i, cfg := range []gatt.Config{once, repeated} {
		if made[i], err = l.ownAnswers(ctx, start, training, cfg); err != nil {
			return r, err
		}
	}
	r.Examples = min(len(made[0]), len(made[1]))
	var said [2][]gatt.Transcript
	for i, name := range []string{"baseline", "Ghost Attention"} {
		p, err := l.FineTune(ctx, name, start, made[i][:r.Examples], g.last)
		if err != nil {
			return r, err
		}
		if said[i], err = measure(name, p, once); err != nil {
			return r, err
		}
		if _, err = measure(name+", temperature 1", p, warm); err != nil {
			return r, err
		}
	}
	r.Instruction = test[0].Instruction
	for i := range min(len(said[0][0].Turns), len(said[1][0].Turns)) {
		r.Example = append(r.Example, ghostAnswer{test[0].Questions[i], said[0][0].Turns[i].Text, said[1][0].Turns[i].Text})
	}
	return r, nil
}

// ownAnswers are examples of dialogues that the model answers itself, each answer the last one once.
func (l *bench) ownAnswers(ctx context.Context, p *model.Params, dialogs []gatt.Dialog, cfg gatt.Config) ([]data.Example, error) {
	name := "dialogues, told once"
	if cfg.Repeat {
		name = "dialogues, told in every turn"
	}
	transcripts, err := l.sampleDialogues(ctx, name, p, dialogs, cfg)
	if err != nil {
		return nil, err
	}
	made, err := gatt.Examples(l.Tmpl, transcripts, cfg)
	if err != nil {
		return nil, err
	}
	if len(made) == 0 {
		return nil, fmt.Errorf("%s: no answer ended within %d tokens", name, cfg.MaxNewTokens)
	}
	return made, nil
}

// sampleDialogues lets the model answer dialogues.
func (l *bench) sampleDialogues(ctx context.Context, name string, p *model.Params, dialogs []gatt.Dialog, cfg gatt.Config) ([]gatt.Transcript, error) {
	total := 0
	for _, d := range dialogs {
		total += len(d.Questions)
	}
	task := l.Console.Start(name, total)
	cfg.OnProgress = func(done, _ int) { task.Update(done, "") }
	transcripts, err := gatt.SampleDialogues(ctx, p, l.Tmpl, l.Tok, dialogs, cfg)
	if err != nil {
		return nil, err
	}
	tokens, answers := 0, 0
	for _, t := range transcripts {
		for _, turn := range t.Turns {
			tokens, answers = tokens+len(turn.Answer), answers+1
		}
	}
	l.Note(name, tokens, task.Done(fmt.Sprintf("%d answers", answers)))
	return transcripts, nil
}

// print writes the table, and a dialogue.
func (r ghosts) print(c *console.Console) {
	header := []any{"model"}
	for _, p := range r.Rows[0].Turns {
		header = append(header, fmt.Sprintf("turn %d", p.Turn))
	}
	t := lab.Table(fmt.Sprintf("Instruction kept, in dialogues on questions held out; both learned from %d dialogues", r.Examples), header...)
	for _, row := range r.Rows {
		cells := table.Row{row.Model}
		for _, p := range row.Turns {
			cells = append(cells, percent(p.Kept))
		}
		t.AppendRow(cells)
	}
	c.Printf("%s", t.Render())
	for i, a := range r.Example {
		if i == 0 {
			c.Printf("told once: %s", r.Instruction)
		}
		c.Printf("%-28s baseline: %s\n%28s Ghost Attention: %s", a.Question, strings.TrimSpace(a.Baseline), "", strings.TrimSpace(a.Ghost))
	}
}
