// Gatt teaches a model to follow an instruction over a whole dialogue: Ghost Attention (Touvron et
// al. 2023, section 3.3).
//
// People who demonstrate dialogues forget an instruction some turns after it was given, and so does
// a model that imitates them. Told again in every turn it follows; from such answers it learns to
// follow what was said once, in the first turn.
//
// Two rules of the loss are compared on the same dialogues. The paper's takes it on the last answer
// alone: "we set the loss to 0 for all the tokens from the previous turns, including assistant
// messages". The variant gatt.Config.EveryTurn takes it on every answer. It takes about four
// minutes.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/tame-rlhf/tame/examples/internal/lab"
	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/gatt"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/sft"
)

// columns are the turns that are measured: the one that gives the instruction, and those of Table
// 30.
var columns = []int{1, 2, 4, 6, 20}

// Names of the models, as the table prints them.
const (
	baselineName = "baseline"
	paperName    = "Ghost Attention, loss on the last answer (paper)"
	everyName    = "Ghost Attention, loss on every answer (EveryTurn)"
	warmName     = "  at temperature 1"
)

// report is what a run measured: rows of Table 30, in the turns of columns.
type report struct {
	pretraining, tuning        float64 // losses in the end, nats per token
	repeated, before, baseline []gatt.Point
	paper, every               []gatt.Point // Ghost Attention by the two rules of the loss
	paperWarm, everyWarm       []gatt.Point // the same at temperature 1, without top-p
	// attention is the last answer's largest weight on a token of the instruction: SFT, baseline,
	// and Ghost Attention by the paper's rule and with the loss on every answer.
	attention []eval.Mean
}

// sampleDialogues lets the model answer dialogues: with the instruction in every turn for Ghost Attention, in
// the first turn only for the baseline.
func (l *bench) sampleDialogues(ctx context.Context, chat *model.Params, training []gatt.Dialog, repeat bool) ([]gatt.Transcript, error) {
	cfg := l.sampling
	cfg.Repeat = repeat
	return gatt.SampleDialogues(ctx, chat, l.tmpl, l.tok, training, cfg)
}

// fineTune trains a copy of the model on dialogues, with the loss on the last answer of each or on
// every one.
func (l *bench) fineTune(ctx context.Context, chat *model.Params, transcripts []gatt.Transcript, every bool) (*model.Params, error) {
	cfg := l.sampling
	cfg.EveryTurn = every
	examples, err := gatt.Examples(l.tmpl, transcripts, cfg)
	if err != nil {
		return nil, err
	}
	p := chat.Clone()
	_, err = sft.Train(ctx, p, examples, nil, l.last)
	return p, err
}

// attention is the share of the attention of last answers that lies on the instruction, in the same
// dialogues for every model.
func (l *bench) attention(ctx context.Context, transcripts []gatt.Transcript, models ...*model.Params) ([]eval.Mean, error) {
	var queries []eval.AttentionQuery
	for _, t := range transcripts {
		if len(t.Turns) < l.turns {
			continue
		}
		query, err := t.AttentionQuery(l.tmpl)
		if err != nil {
			return nil, err
		}
		queries = append(queries, query)
	}
	out := make([]eval.Mean, len(models))
	for i, p := range models {
		weights, err := eval.Attention(ctx, p, queries, p.Config().MaxSeqLen, 8)
		if err != nil {
			return nil, err
		}
		shares := make([]float64, len(weights))
		for k, w := range weights {
			shares[k] = w.Peak
		}
		out[i] = eval.MeanOf(shares)
	}
	return out, nil
}

func run(ctx context.Context, out io.Writer, s settings) (r report, err error) {
	// 1. A model that follows an instruction and forgets it, like the people whose dialogues it has read.
	l, chat, err := chatModel(ctx, out, s)
	if err != nil {
		return r, err
	}
	r.pretraining, r.tuning = l.pretraining, l.tuning
	list, err := l.w.TestDialogs(s.tests, s.turns, s.turns)
	if err != nil {
		return r, err
	}
	test, kept := lab.Dialogs(list, l.w.TestInstructions(s.tests, 1))
	if list, err = l.w.Dialogs(s.dialogs, 2, s.turns); err != nil {
		return r, err
	}
	training, followed := lab.Dialogs(list, l.w.Instructions(s.dialogs, 1))
	measure := func(name string, p *model.Params, temperature, topP float64) (points []gatt.Point, transcripts []gatt.Transcript, err error) {
		cfg := l.sampling
		cfg.Temperature, cfg.TopP = temperature, topP
		points, transcripts, err = gatt.Evaluate(ctx, p, l.tmpl, l.tok, test, kept, cfg, columns...)
		if err == nil {
			l.row(name, points)
		}
		return points, transcripts, err
	}
	cool := func(name string, p *model.Params) ([]gatt.Point, []gatt.Transcript, error) {
		return measure(name, p, s.sampling.Temperature, s.sampling.TopP)
	}
	if r.before, _, err = cool("SFT", chat); err != nil {
		return r, err
	}

	// 2. The baseline: the same start, dialogues and steps, and the paper's loss, but no repeated instruction.
	transcripts, err := l.sampleDialogues(ctx, chat, training, false)
	if err != nil {
		return r, err
	}
	baseline, err := l.fineTune(ctx, chat, transcripts, false)
	if err != nil {
		return r, err
	}
	if r.baseline, _, err = cool(baselineName, baseline); err != nil {
		return r, err
	}

	// 3. Ghost Attention by both rules, on the same dialogues.
	if transcripts, err = l.sampleDialogues(ctx, chat, training, true); err != nil {
		return r, err
	}
	r.repeated = gatt.Score(transcripts, followed, columns...)
	l.row("SFT, told in every turn", r.repeated) // what Ghost Attention learns from
	models, answered := []*model.Params{chat, baseline}, []gatt.Transcript(nil)
	for _, rule := range []struct {
		name            string
		every           bool
		points, warmest *[]gatt.Point
	}{{paperName, false, &r.paper, &r.paperWarm}, {everyName, true, &r.every, &r.everyWarm}} {
		p, err := l.fineTune(ctx, chat, transcripts, rule.every)
		if err != nil {
			return r, err
		}
		models = append(models, p)
		if *rule.points, answered, err = cool(rule.name, p); err != nil {
			return r, err
		}
		if *rule.warmest, _, err = measure(warmName, p, 1, 1); err != nil {
			return r, err
		}
	}
	fmt.Fprintln(out, "paper (Table 30): baseline 100, 10, 0, 0 and Ghost Attention 100, 100, 100, 100 in turns 2, 4, 6, 20")

	// 4. Figure 10: what the last answers look at, in the dialogues of the last model.
	r.attention, err = l.attention(ctx, answered, models...)
	if err == nil && len(answered) > 0 {
		a := r.attention
		fmt.Fprintf(out, "the largest weight on a token of the instruction, in the last answer: %v after SFT, %v in the baseline, "+
			"with Ghost Attention %v (last answer) and %v (every answer)\n", a[0], a[1], a[2], a[3])
		l.show(answered[0])
	}
	return r, err
}

// row prints the share of attributes kept, in per cent with 95 % intervals.
func (l *bench) row(name string, points []gatt.Point) {
	fmt.Fprintf(l.out, "%-49s", name)
	for _, p := range points {
		fmt.Fprintf(l.out, "  turn %d: %.0f [%.0f, %.0f]", p.Turn, 100*p.Kept.Mean, 100*p.Kept.Lo, 100*p.Kept.Hi)
	}
	fmt.Fprintln(l.out)
}

// show prints the beginning and the end of a dialogue.
func (l *bench) show(t gatt.Transcript) {
	fmt.Fprintf(l.out, "%s\n", t.Dialog.Instruction)
	for i, turn := range t.Turns {
		if i < 2 || i == len(t.Turns)-1 {
			fmt.Fprintf(l.out, "%3d  %s | %s\n", i+1, t.Dialog.Questions[i], turn.Text)
		}
	}
}

func main() {
	seed := flag.Uint64("seed", 1, "of the world and of everything else")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if _, err := run(ctx, os.Stdout, defaultSettings(*seed)); err != nil {
		fmt.Fprintln(os.Stderr, "gatt:", err)
		os.Exit(1)
	}
}
