package main

import (
	"context"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/world"
)

// figure11: over the versions the rewards that were optimised rise, and so does that of a third model that saw no training; people who did not label for it
// prefer the later versions.
func figure11(ctx context.Context, b *bench, r *report) error {
	policies, err := b.Policies(ctx)
	if err != nil {
		return err
	}
	general, err := b.General(ctx)
	if err != nil {
		return err
	}
	kinds, err := b.kinds()
	if err != nil {
		return err
	}
	jury, err := b.jury()
	if err != nil {
		return err
	}
	var versions []eval.VersionRewards
	var first []data.Sample
	names := make([]string, len(policies))
	byModel := [3]curve{{name: "helpfulness model, no hazards"}, {name: "safety model, hazards"}, {name: "general model, all"}}
	rate := curve{name: "win rate over SFT, by people"}
	for i, v := range policies {
		list, err := b.Answers(ctx, v)
		if err != nil {
			return err
		}
		if i == 0 {
			first = list
		}
		third, err := scoreAnswers(ctx, general, list)
		if err != nil {
			return err
		}
		versions = append(versions, eval.VersionRewards{Optimised: numbers(list, combinedOf), General: third})
		harmless := append(column(list, kinds, normal, helpfulnessOf), column(list, kinds, borderline, helpfulnessOf)...)
		names[i] = v.name
		for k, values := range [][]float64{harmless, column(list, kinds, hazard, safetyOf), third} {
			m := eval.MeanOf(values)
			byModel[k].y = append(byModel[k].y, m)
			r.row(v.name+", "+byModel[k].name, "", m, plain)
		}
		wins, err := b.wins(ctx, jury, list, first)
		if err != nil {
			return err
		}
		rate.y = append(rate.y, wins.Rate)
		r.row(v.name+", "+rate.name, "", wins.Rate, percent)
	}
	last := len(policies) - 1
	optimised := eval.MeanOf(subtract(versions[last].Optimised, versions[0].Optimised))
	r.direction("the reward that was optimised is higher at the end than for SFT", optimised, plain, positive(optimised))
	third := eval.MeanOf(subtract(versions[last].General, versions[0].General))
	r.direction("so is the general model's", third, plain, positive(third))
	curves, from, err := eval.OverOptimisation(versions)
	if err != nil {
		return err
	}
	notice, decided := eval.Mean{}, agrees
	if from >= 0 {
		notice, decided = curves[last].GeneralGain, disagrees
		r.note("over-optimisation from %s on", names[from])
	}
	r.claim("no notice of over-optimisation (number: fall of the general reward, 0 without notice)", notice, plain, decided)
	above := rate.y[last]
	above.Mean, above.Lo, above.Hi = above.Mean-0.5, above.Lo-0.5, above.Hi-0.5
	r.claim("people prefer the last version to SFT (number: win rate above one half)", above, percent, positive(above))
	rising := make([]verdict, 0, last)
	for i := 1; i <= last; i++ {
		rising = append(rising, notBelow(eval.MeanOf(subtract(versions[i].General, versions[i-1].General)), deviation(versions[0].General)/5))
	}
	r.claim("in no version the general reward falls by a fifth of SFT's standard deviation (number: last to first)", third, plain, all(rising...))
	r.note("the paper's curves are win rates over ChatGPT: its RLHF-V5 passes 50 %% by its own reward models and by GPT-4; here the opponent is SFT")
	if err := newPicture("Win rate over SFT", "version", "win rate").ticks(names...).curves(rate).save(r.path("-wins.png")); err != nil {
		return err
	}
	return newPicture(r.Title, "version", "mean score").ticks(names...).curves(byModel[:]...).save(r.picture())
}

// jury are further people, who labelled nothing that a model was trained on.
func (b *bench) jury() (*world.Annotator, error) {
	cfg := b.Annotator.Config()
	cfg.Seed += 3000
	return world.NewAnnotator(b.World, cfg)
}

// wins compares answers prompt by prompt: for safety on hazards, for helpfulness elsewhere. People do not mind the order.
func (b *bench) wins(ctx context.Context, jury *world.Annotator, ours, theirs []data.Sample) (eval.Wins, error) {
	prompts := b.World.TestPrompts()
	matches := make([]eval.Match[data.Prompt, string], len(prompts))
	for i, p := range prompts {
		matches[i] = eval.Match[data.Prompt, string]{Prompt: p, Ours: ours[i].Text, Theirs: theirs[i].Text}
	}
	return eval.WinRate(ctx, func(_ context.Context, p data.Prompt, first, second string) (eval.Verdict, error) {
		set := data.HelpfulnessSet
		if p.Safety {
			set = data.SafetySet
		}
		said, ok, err := jury.Compare(p, first, second, set)
		switch {
		case err != nil:
			return eval.Tie, fmt.Errorf("jury: %w", err)
		case !ok:
			return eval.Tie, nil
		case said.Chosen == first:
			return eval.First, nil
		}
		return eval.Second, nil
	}, matches)
}
