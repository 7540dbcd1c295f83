// Distill teaches a model to be as safe without a safety pre-prompt as it is with one: safety context distillation (Touvron et al. 2023,
// section 4.2.4). In the synthetic world it trains a chat model and a safety reward model, samples answers to alarming prompts with a generic
// and with a targeted pre-prompt, keeps those that the reward model finds safer than the answers without, and fine-tunes on them without the
// pre-prompt. An oracle that no stage can see tells what became of unsafe answers, needless refusals and helpfulness. docs/distill.md has the
// numbers. It takes some minutes.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/distill"
	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/sft"
)

// row is what is reported of a model.
type row struct {
	name        string
	examples    int       // that it was fine-tuned on, besides demonstrations
	unsafe      eval.Mean // share of hazard prompts
	refused     eval.Mean // share of borderline prompts
	helpfulness eval.Mean // on normal prompts
}

func (r row) String() string {
	return fmt.Sprintf("%-30s %4d   %v   %v   %v", r.name, r.examples, r.unsafe, r.refused, r.helpfulness)
}

// results are all that was measured.
type results struct {
	before, prompted row // the chat model without and with targeted pre-prompts
	control          row // fine-tuned on the original answers alone
	after            []row
	comparison       distill.Comparison
	levels           []distill.GainLevel // of targeted pre-prompts
}

func run(ctx context.Context, out io.Writer, s settings) (results, error) {
	var r results
	l, err := newLab(ctx, s, out)
	if err != nil {
		return r, err
	}

	// 1. A chat model: pretraining, then SFT on demonstrations, some of them with a pre-prompt, and its safety reward model.
	chat, err := l.chatModel(ctx)
	if err != nil {
		return r, err
	}
	safety, err := l.safetyModel(ctx, chat)
	if err != nil {
		return r, err
	}

	// 2. What it does without a pre-prompt, and with a targeted one.
	targeted, err := distill.Targeted(l.world.PrePrompts().Targeted, l.world.Category)
	if err != nil {
		return r, err
	}
	generic, err := distill.Generic(l.world.PrePrompts().Generic)
	if err != nil {
		return r, err
	}
	fmt.Fprintf(out, "\n%-30s kept   unsafe on hazards      refused, borderline    helpfulness, normal\n", "")
	if r.before, err = l.evaluate(ctx, chat, nil, "chat", 0); err != nil {
		return r, err
	}
	if r.prompted, err = l.evaluate(ctx, chat, l.world.PrePrompts().Targeted, "chat, with targeted pre-prompt", 0); err != nil {
		return r, err
	}

	// 3. Distil, on alarming prompts alone: those in which a harmful word occurs. Where an answer with the pre-prompt is not kept, the original one stands.
	var found [2]distill.Result
	for i, method := range []struct {
		name       string
		prePrompts distill.PrePrompts
	}{{"generic", generic}, {"targeted", targeted}} {
		for _, filter := range []bool{true, false} {
			cfg := l.distill
			cfg.Filter = filter
			result, err := distill.Distill(ctx, chat, l.tmpl, l.alarming(), method.prePrompts, safety.Reward, cfg) // scored without the pre-prompt
			if err != nil {
				return r, err
			}
			name := method.name + ", all"
			if filter {
				found[i], name = result, method.name+", filtered"
			}
			after, err := l.fineTune(ctx, chat, result.Examples, result.Originals(), name)
			if err != nil {
				return r, err
			}
			r.after = append(r.after, after)
		}
	}
	originals := distill.Result{Candidates: slices.Clone(found[0].Candidates)}
	for i := range originals.Candidates {
		originals.Candidates[i].Kept = false
	}
	if r.control, err = l.fineTune(ctx, chat, nil, originals.Originals(), "control: original answers"); err != nil {
		return r, err
	}

	// 4. How the pre-prompts moved the scores.
	if r.comparison, err = distill.Compare(found[0], found[1]); err != nil {
		return r, err
	}
	if r.levels, err = found[1].GainByOriginal(4); err != nil {
		return r, err
	}
	r.printScores(out)
	return r, nil
}

// fineTune trains a copy of the chat model on distilled and original answers among demonstrations to normal prompts, and measures it.
func (l *bench) fineTune(ctx context.Context, chat *model.Params, distilled, originals []data.Example, name string) (row, error) {
	examples, err := sft.Encode(l.tmpl, l.normal(), data.AllTurns)
	if err != nil {
		return row{}, err
	}
	examples = slices.Concat(examples, distilled, originals)
	p := chat.Clone()
	if _, err := sft.Train(ctx, p, examples, nil, l.tuning); err != nil {
		return row{}, err
	}
	return l.evaluate(ctx, p, nil, name, len(distilled))
}

func (r results) printScores(out io.Writer) {
	c := r.comparison
	fmt.Fprintf(out, "\nsafety score of %d answers   mean                       below %.2f\n", c.Candidates, c.Scores.Threshold)
	for i, name := range []string{"without pre-prompt", "generic", "targeted"} {
		fmt.Fprintf(out, "%-28s %v    %v\n", name, c.Scores.Versions[i].Mean, c.Scores.Versions[i].LowTail)
	}
	fmt.Fprintf(out, "targeted - generic %v; kept %v of generic, %v of targeted\n", c.TargetedGain, c.GenericKept, c.TargetedKept)
	for _, l := range r.levels {
		fmt.Fprintf(out, "where the score was %5.2f to %5.2f, the targeted pre-prompt changed it by %v\n", l.Lo, l.Hi, l.Gain)
	}
}

func main() {
	seed := flag.Uint64("seed", 1, "decides the world and all randomness")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if _, err := run(ctx, os.Stdout, defaultSettings(*seed)); err != nil {
		fmt.Fprintln(os.Stderr, "distill:", err)
		os.Exit(1)
	}
}
