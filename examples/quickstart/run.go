package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/ppo"
	"github.com/tame-rlhf/tame/pkg/rejection"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
	"github.com/tame-rlhf/tame/pkg/sft"
	"github.com/tame-rlhf/tame/pkg/world"
	"github.com/tame-rlhf/tame/pkg/world/oracle"
)

// version is a model with its name in the tables.
type version struct {
	name  string
	model *model.Params
}

// run is the whole chain: pretraining, SFT, preferences, two reward models, rejection sampling, PPO.
func (l *lab) run(ctx context.Context, out string) (results, error) {
	r := results{Seed: l.world.Config().Seed, Control: l.control.String()}
	o := oracle.New(l.world) // for reports only

	// 1. Pretraining on text of mixed quality, the only place where facts are.
	if err := l.trainTokenizer(ctx); err != nil {
		return r, err
	}
	base, err := l.pretrainModel(ctx)
	if err != nil {
		return r, err
	}

	// 2. SFT on demonstrations.
	demos, err := sft.Encode(l.tmpl, l.world.Demonstrations(), data.AllTurns)
	if err != nil {
		return r, err
	}
	chat, err := l.fineTune(ctx, "SFT", base, demos, l.sft)
	if err != nil {
		return r, err
	}
	versions := []version{{"SFT", chat}}

	// 3. Preferences of annotators, and the two reward models.
	helpfulness, safety, err := l.rewardModels(ctx, chat)
	if err != nil {
		return r, err
	}
	if r.RewardModels, err = l.testRewardModels(ctx, chat, helpfulness, safety); err != nil {
		return r, err
	}
	j, err := pipeline.NewJudges(helpfulness, safety, pipeline.JudgesConfig{SafetyThreshold: l.ppo.SafetyThreshold, MicroTokens: microTokens, MicroSegments: microSegments})
	if err != nil {
		return r, err
	}

	if l.control == controlSFT {
		// Control: as many steps as the two stages below, on demonstrations.
		more, err := l.fineTune(ctx, "more SFT", chat, demos, l.moreSFT(len(demos)))
		if err != nil {
			return r, err
		}
		versions = append(versions, version{"more SFT", more})
	} else {
		// 4. Rejection sampling: tune the temperature, sample, fine-tune on the best answers.
		best, err := l.rejectionSampling(ctx, chat, j, &r)
		if err != nil {
			return r, err
		}

		// 5. PPO on top of it.
		final, rows, err := l.runPPO(ctx, best, helpfulness, j, o)
		if err != nil {
			return r, err
		}
		r.PPO = rows
		versions = append(versions, version{"rejection sampling", best}, version{"PPO", final})
	}
	if err := l.report(ctx, &r, versions, j, o, out); err != nil || out == "" {
		return r, err
	}
	for _, m := range []version{{"helpfulness model", helpfulness}, {"safety model", safety}} {
		if err := l.save(out, m); err != nil {
			return r, err
		}
	}
	return r, nil
}

// rewardModels samples answers of the chat model, asks the annotators and trains both models, each on the paper's mix.
func (l *lab) rewardModels(ctx context.Context, chat *model.Params) (helpfulness, safety *model.Params, err error) {
	h, err := l.preferences(ctx, "helpfulness answers", chat, l.annotator, l.world.PreferencePrompts(data.HelpfulnessSet), l.helpfulnessPairs, data.HelpfulnessSet)
	if err != nil {
		return nil, nil, err
	}
	s, err := l.preferences(ctx, "safety answers", chat, l.annotator, l.world.PreferencePrompts(data.SafetySet), l.safetyPairs, data.SafetySet)
	if err != nil {
		return nil, nil, err
	}
	open, err := l.preferences(ctx, "open data answers", chat, l.public, l.openPrompts(), l.openPairs, data.HelpfulnessSet)
	if err != nil {
		return nil, nil, err
	}
	for i := range open { // open data has a choice, but no rating and no labels
		open[i].Rating, open[i].ChosenSafe, open[i].RejectedSafe = data.NegligiblyBetter, data.SafetyUnknown, data.SafetyUnknown
	}
	others := slices.Concat(s, open)
	if helpfulness, err = l.rewardModel(ctx, "helpfulness model", chat, rewardmodel.HelpfulnessMix(h, others, l.helpfulness.Seed), l.helpfulness); err != nil {
		return nil, nil, err
	}
	safety, err = l.rewardModel(ctx, "safety model", chat, rewardmodel.WithoutUnsafeChoices(rewardmodel.SafetyMix(s, slices.Concat(h, open), l.safety.Seed)), l.safety)
	return helpfulness, safety, err
}

// preferences are the pairs of compare as training data; shuffled in the control.
func (l *lab) preferences(ctx context.Context, name string, chat *model.Params, who *world.Annotator, prompts []data.Prompt, n int, set data.Set) ([]rewardmodel.Pair, error) {
	comparisons, err := l.compare(ctx, name, chat, who, prompts, n, set)
	if err != nil {
		return nil, err
	}
	pairs := make([]rewardmodel.Pair, len(comparisons))
	for i, c := range comparisons {
		pairs[i] = c.pair
	}
	if l.control == controlShuffled {
		shuffle(pairs, l.world.Config().Seed)
	}
	return pairs, nil
}

// openPrompts are those of the demonstrations.
func (l *lab) openPrompts() []data.Prompt {
	demos := l.world.Demonstrations()
	prompts := make([]data.Prompt, len(demos))
	for i, d := range demos {
		messages := d.Messages[:len(d.Messages)-1]
		prompts[i] = data.Prompt{ID: fmt.Sprintf("open %d %s", i, data.DialogID(messages)), Messages: messages}
	}
	return prompts
}

// shuffle gives every preference a random direction and the labels of another pair: the control that has to learn nothing.
func shuffle(pairs []rewardmodel.Pair, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 3))
	for i := range pairs {
		p := &pairs[i]
		if rng.IntN(2) == 0 {
			p.Chosen, p.Rejected = p.Rejected, p.Chosen
		}
		q := &pairs[rng.IntN(i+1)]
		p.ChosenSafe, q.ChosenSafe = q.ChosenSafe, p.ChosenSafe
		p.RejectedSafe, q.RejectedSafe = q.RejectedSafe, p.RejectedSafe
	}
}

// testRewardModels asks the annotators about answers to test prompts, which no model was trained on.
func (l *lab) testRewardModels(ctx context.Context, chat, helpfulness, safety *model.Params) ([]rewardModelRow, error) {
	var rows []rewardModelRow
	comparisons, err := l.compare(ctx, "test answers", chat, l.annotator, l.world.TestPrompts(), l.testPairs, data.HelpfulnessSet, data.SafetySet)
	if err != nil {
		return nil, err
	}
	for _, m := range []version{{"helpfulness", helpfulness}, {"safety", safety}} {
		scorer, err := rewardmodel.NewScorer(m.model, microTokens, microSegments)
		if err != nil {
			return nil, err
		}
		for _, set := range []data.Set{data.HelpfulnessSet, data.SafetySet} {
			var pairs []rewardmodel.Pair
			var preferences []data.Preference
			for _, c := range comparisons {
				if c.pair.Set == set {
					pairs, preferences = append(pairs, c.pair), append(preferences, c.preference)
				}
			}
			e, err := rewardmodel.Evaluate(ctx, scorer, pairs)
			if err != nil {
				return nil, err
			}
			ceilings, err := oracle.Ceilings(l.annotator, preferences)
			if err != nil {
				return nil, err
			}
			rows = append(rows, newRewardModelRow(m.name, set, e, ceilings))
		}
	}
	return rows, nil
}

// rejectionSampling fine-tunes the chat model on the best of its own answers.
func (l *lab) rejectionSampling(ctx context.Context, chat *model.Params, j *pipeline.Judges, r *results) (*model.Params, error) {
	tuning, err := l.rejectionPrompts(l.world.ValidationPrompts())
	if err != nil {
		return nil, err
	}
	cfg := l.rejection
	task := l.console.Start("tuning the temperature", len(l.temperatures))
	temperature, points, err := rejection.Tune(ctx, chat, tuning, j.Reward, cfg, l.temperatures)
	if err != nil {
		return nil, err
	}
	r.Temperatures = points
	l.note("tuning the temperature", 0, task.Done(fmt.Sprintf("T = %g", temperature)))

	prompts, err := l.rejectionPrompts(l.world.RLPrompts())
	if err != nil {
		return nil, err
	}
	task = l.console.Start("rejection sampling", len(prompts)*cfg.Samples)
	cfg.Temperature = temperature
	cfg.OnProgress = func(done, _ int) { task.Update(done, "") }
	answers, err := rejection.Sample(ctx, chat, prompts, j.Reward, cfg)
	if err != nil {
		return nil, err
	}
	tokens := 0
	for _, a := range answers {
		tokens += len(a.Answer)
	}
	winners := rejection.Best(answers)
	l.note("rejection sampling", tokens, task.Done(fmt.Sprintf("%d winners of %d answers", len(winners), len(answers))))

	examples := make([]sft.Example, len(winners))
	for i, w := range winners {
		examples[i].Tokens, examples[i].Counted = data.Join(w.Tokens, w.Answer)
	}
	return l.fineTune(ctx, "SFT on the winners", chat, examples, l.winners)
}

func (l *lab) rejectionPrompts(prompts []data.Prompt) ([]rejection.Prompt, error) {
	list := make([]rejection.Prompt, len(prompts))
	for i, p := range prompts {
		ids, err := l.tmpl.EncodePrompt(p.Messages)
		if err != nil {
			return nil, err
		}
		list[i] = rejection.Prompt{ID: p.ID, Tokens: ids, Safety: p.Safety}
	}
	return list, nil
}

// moreSFT trains on demonstrations for as many optimisation steps as rejection sampling and PPO take.
func (l *lab) moreSFT(demos int) sft.Config {
	cfg := l.sft
	winners := (len(l.world.RLPrompts()) + l.winners.BatchSize - 1) / l.winners.BatchSize * l.winners.Epochs
	updates := l.ppo.Iterations * l.ppo.Epochs * l.ppo.BatchSize / l.ppo.MiniBatch
	perEpoch := (demos + cfg.BatchSize - 1) / cfg.BatchSize
	cfg.Epochs = (winners + updates + perEpoch - 1) / perEpoch
	cfg.Optim = l.winners.Optim
	return cfg
}

// report lets the annotators pick a version on validation prompts, and measures all of them on test prompts.
func (l *lab) report(ctx context.Context, r *results, versions []version, j *pipeline.Judges, o *oracle.Oracle, out string) error {
	best := 0
	var first []data.Sample
	for i, v := range versions {
		row, samples, err := l.evaluate(ctx, v.name, v.model, versions[0].model, l.world.ValidationPrompts(), j, o)
		if err != nil {
			return err
		}
		if i == 0 {
			first = samples
		}
		if row.Preferred, err = l.preferred(samples, first, l.world.ValidationPrompts()); err != nil {
			return err
		}
		r.Validation = append(r.Validation, row)
		if row.Preferred.Mean > r.Validation[best].Preferred.Mean {
			best = i
		}
	}
	r.Picked = versions[best].name
	for i, v := range versions {
		row, samples, err := l.evaluate(ctx, v.name, v.model, versions[0].model, l.world.TestPrompts(), j, o)
		if err != nil {
			return err
		}
		if i == 0 {
			first = samples
			if r.Gate, err = l.gate(samples, o); err != nil {
				return err
			}
		}
		if row.Preferred, err = l.preferred(samples, first, l.world.TestPrompts()); err != nil {
			return err
		}
		r.Test = append(r.Test, row)
		if err := l.keep(out, v, samples); err != nil {
			return err
		}
	}
	r.Stages = l.stages
	return nil
}

// gate compares the gate of the combined reward with the truth, on answers to test prompts.
func (l *lab) gate(samples []data.Sample, o *oracle.Oracle) (gateRow, error) {
	var rightly, caught []bool
	for i, p := range l.world.TestPrompts() {
		unsafe, err := o.Unsafe(p, samples[i].Text)
		if err != nil {
			return gateRow{}, err
		}
		below := *samples[i].Safety < ppo.Logit(l.ppo.SafetyThreshold)
		if below {
			rightly = append(rightly, unsafe)
		}
		if unsafe {
			caught = append(caught, below)
		}
	}
	return gateRow{Precision: eval.ShareOf(rightly), Recall: eval.ShareOf(caught)}, nil
}

// preferred is the share of prompts at which the annotators like a version's answer better than that of SFT: for its
// safety on safety prompts, for its helpfulness on the others. Where they have no preference it counts half.
func (l *lab) preferred(answers, first []data.Sample, prompts []data.Prompt) (eval.Mean, error) {
	wins := make([]float64, len(prompts))
	for i, p := range prompts {
		set := data.HelpfulnessSet
		if p.Safety {
			set = data.SafetySet
		}
		pref, ok, err := l.annotator.Compare(p, answers[i].Text, first[i].Text, set)
		switch {
		case err != nil:
			return eval.Mean{}, err
		case !ok || answers[i].Text == first[i].Text:
			wins[i] = 0.5
		case pref.Chosen == answers[i].Text:
			wins[i] = 1
		}
	}
	return eval.MeanOf(wins), nil
}
