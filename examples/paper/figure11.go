package main

import (
	"context"
	"fmt"
	"math"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/world"
)

// figure11: over the versions the rewards that were optimised rise, and so does that of a third
// model that saw no training; people who did not label for it prefer the later versions.
func figure11(ctx context.Context, b *bench, r *report) error {
	policies := b.policies()
	general, err := b.General(ctx)
	if err != nil {
		return err
	}
	jury, err := b.jury()
	if err != nil {
		return err
	}
	var versions []eval.VersionRewards
	var first []data.Sample
	var questions []string
	names := make([]string, len(policies))
	byModel := [3]curve{{name: "helpfulness model, normal and borderline prompts"}, {name: "safety model, hazards"}, {name: "general model, all"}}
	rate := curve{name: "win rate over SFT, by people"}
	for i, v := range policies {
		list, err := b.answers(ctx, v, 1, 1)
		if err != nil {
			return err
		}
		if i == 0 {
			first, questions = list, numbers(list, b.question)
		}
		third, err := scoreAnswers(ctx, general, asAnswers(list))
		if err != nil {
			return err
		}
		versions = append(versions, eval.VersionRewards{Optimised: numbers(list, combinedOf), General: third})
		names[i] = v.name
		harmless, hazards := append(b.of(list, normal), b.of(list, borderline)...), b.of(list, hazard)
		for k, s := range []series{
			{numbers(harmless, helpfulnessOf), numbers(harmless, b.question)}, {numbers(hazards, safetyOf), numbers(hazards, b.question)}, {third, questions},
		} {
			m := s.mean()
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
	r.found(judgeFigure11(versions, questions, rate.y[len(rate.y)-1]))
	_, from, err := eval.OverOptimisation(versions)
	if err != nil {
		return err
	}
	if from >= 0 {
		r.note("eval.OverOptimisation gives notice of over-optimisation from %s on", names[from])
	}
	r.note("the paper's curves are win rates over ChatGPT: its RLHF-V5 passes 50 %% by its own reward models and by GPT-4; here the opponent is SFT")
	if err := newPicture("Win rate over SFT", "version", "win rate").ticks(names...).curves(rate).save(r.path("-wins.png")); err != nil {
		return err
	}
	return newPicture(r.Title, "version", "mean score").ticks(names...).curves(byModel[:]...).save(r.picture())
}

// judgeFigure11 takes the rewards of SFT and all versions, and the share of prompts at which people
// prefer the last version's answer to SFT's. That no over-optimisation was noticed is no evidence;
// an interval of the general reward's change since its earlier peak, all of it above a tolerance,
// is.
func judgeFigure11(versions []eval.VersionRewards, questions []string, wins eval.Mean) (f findings) {
	last := len(versions) - 1
	f.leadAbove("the reward that was optimised is higher at the end than for SFT", gain(versions[last].Optimised, versions[0].Optimised, questions), plain)
	f.leadAbove("so is the general model's", gain(versions[last].General, versions[0].General, questions), plain)
	tolerance := deviation(versions[0].General) / 5
	d := gain(versions[last].General, versions[peak(versions[:last])].General, questions)
	f.lead("at the end the general reward is not below the highest of the versions before, by a fifth of SFT's standard deviation", d, plain, notBelow(d, tolerance))
	above := wins
	above.Mean, above.Lo, above.Hi = above.Mean-0.5, above.Lo-0.5, above.Hi-0.5
	f.claim("people prefer the last version to SFT (number: win rate above one half)", above, percent, positive(above))
	steepest, steps := eval.Mean{Mean: math.Inf(1)}, []verdict{}
	for i := 1; i <= last; i++ {
		d := gain(versions[i].General, versions[i-1].General, questions)
		steps = append(steps, notBelow(d, tolerance))
		if d.Mean < steepest.Mean {
			steepest = d
		}
	}
	f.claim("from no version to the next the general reward falls by that much (number: the lowest step)", steepest, plain, all(steps...))
	return f
}

// peak is the version with the highest mean general reward.
func peak(versions []eval.VersionRewards) int {
	where, highest := 0, math.Inf(-1)
	for i, v := range versions {
		if m := eval.MeanOf(v.General).Mean; m > highest {
			where, highest = i, m
		}
	}
	return where
}

// jury are further people, who labelled nothing that a model was trained on.
func (b *bench) jury() (*world.Annotator, error) {
	cfg := b.Annotator.Config()
	cfg.Seed += 3000
	return world.NewAnnotator(b.World, cfg)
}

// wins compares answers prompt by prompt: for safety where a prompt asks how to harm, for helpfulness
// elsewhere. People
// do not mind the order.
func (b *bench) wins(ctx context.Context, jury *world.Annotator, ours, theirs []data.Sample) (eval.Wins, error) {
	prompts := b.World.TestPrompts()
	matches := make([]eval.Match[data.Prompt, string], len(prompts))
	for i, p := range prompts {
		matches[i] = eval.Match[data.Prompt, string]{Prompt: p, Ours: ours[i].Text, Theirs: theirs[i].Text}
	}
	return eval.WinRate(ctx, func(_ context.Context, p data.Prompt, first, second string) (eval.Verdict, error) {
		set, err := jury.Set(p)
		if err != nil {
			return eval.Tie, err
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
