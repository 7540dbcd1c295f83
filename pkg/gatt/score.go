package gatt

import (
	"context"
	"errors"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/model"
)

// Checker counts how many of the instruction's attributes an answer keeps, and how many there are. An answer that keeps nothing of total 0 counts as
// keeping nothing.
type Checker func(d Dialog, answer string) (kept, total int)

// Point is how well instructions are kept in one turn: a column of Table 30.
type Point struct {
	Turn int       // 1 is the turn that gives the instruction
	Kept eval.Mean // share of the attributes, mean over the dialogues; Wilson interval with a dialogue as the unit
	Lost int       // dialogues that ended before they had answered this turn; they count as keeping nothing
}

// Score measures the share of attributes that answers keep, at each of the turns (section 3.3, Table 30: 2, 4, 6 and 20), over those dialogues that have a
// question in that turn. The answers should be sampled without Config.Repeat.
func Score(transcripts []Transcript, check Checker, turns ...int) []Point {
	points := make([]Point, len(turns))
	for k, turn := range turns {
		hits, n := 0.0, 0
		points[k].Turn = turn
		for _, t := range transcripts {
			if turn < 1 || turn > len(t.Dialog.Questions) {
				continue
			}
			n++
			if turn > len(t.Turns) {
				points[k].Lost++
				continue
			}
			if kept, total := check(t.Dialog, t.Turns[turn-1].Text); total > 0 {
				hits += float64(kept) / float64(total)
			}
		}
		lo, hi := eval.Wilson(hits, n)
		points[k].Kept = eval.Mean{Mean: hits / float64(n), Lo: lo, Hi: hi, N: n}
	}
	return points
}

// Evaluate lets the model answer the dialogues with the instruction in the first turn only, whatever cfg.Repeat says, and measures how well it is
// kept at each of the turns. The transcripts are for readers and for other measures.
func Evaluate(ctx context.Context, p *model.Params, tmpl *data.Template, dec Decoder, dialogs []Dialog, check Checker, cfg Config, turns ...int) ([]Point, []Transcript, error) {
	if check == nil {
		return nil, nil, errors.New("gatt: want a checker, it is nil")
	}
	cfg.Repeat = false
	transcripts, err := SampleDialogues(ctx, p, tmpl, dec, dialogs, cfg)
	if err != nil {
		return nil, nil, err
	}
	return Score(transcripts, check, turns...), transcripts, nil
}
