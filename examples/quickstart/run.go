package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/tame-rlhf/tame/examples/internal/lab"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/ppo"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
	"github.com/tame-rlhf/tame/pkg/sft"
	"github.com/tame-rlhf/tame/pkg/world/oracle"
)

// version is a model with its name in the tables.
type version struct {
	name  string
	model *model.Params
	dir   string // where the model is; empty for one that is not kept
}

// chain is what a run goes through.
type chain struct {
	*lab.Lab
	control control
	oracle  *oracle.Oracle // for reports only
	results results
}

// run is the whole chain: pretraining, SFT, and the iteration over versions, each from fresh preferences, reward models and rejection sampling, the
// last one with PPO.
func (c *chain) run(ctx context.Context, out string) error {
	// 1. Pretraining on text of mixed quality, the only place where facts are.
	base, err := c.Base(ctx)
	if err != nil {
		return err
	}

	// 2. SFT on demonstrations.
	demos, err := c.Demonstrations()
	if err != nil {
		return err
	}
	chat, err := c.FineTune(ctx, "SFT", base, demos, c.SFT)
	if err != nil {
		return err
	}
	versions := []version{{"SFT", chat, filepath.Join(out, "run", "start")}}

	if c.control == controlSFT {
		// Control: as many steps as the iteration takes, on demonstrations.
		more, err := c.FineTune(ctx, "more SFT", chat, demos, c.moreSFT(len(demos)))
		if err != nil {
			return err
		}
		versions[0].dir = ""
		return c.report(ctx, append(versions, version{"more SFT", more, ""}), nil, out)
	}

	// 3. V1 to V5.
	rounds, err := c.iterate(ctx, chat, filepath.Join(out, "run"))
	if err != nil {
		return err
	}
	for _, r := range rounds {
		tuned, err := model.Load(r.Tuned)
		if err != nil {
			return err
		}
		versions = append(versions, version{fmt.Sprintf("V%d", r.Number), tuned, r.Tuned})
		if r.Model != r.Tuned {
			final, err := model.Load(r.Model)
			if err != nil {
				return err
			}
			versions = append(versions, version{fmt.Sprintf("V%d with PPO", r.Number), final, r.Model})
		}
	}
	last := rounds[len(rounds)-1]
	if c.results.RewardModels, err = c.testRewardModels(ctx, versions, last); err != nil {
		return err
	}
	if err := c.testInstructions(ctx, versions); err != nil {
		return err
	}
	j, _, _, err := c.LoadJudges(last)
	if err != nil {
		return err
	}
	return c.report(ctx, versions, j, out)
}

// iterate runs the pipeline and shows its progress.
func (c *chain) iterate(ctx context.Context, chat *model.Params, dir string) ([]pipeline.Version, error) {
	d, err := c.Data(ctx, chat)
	if err != nil {
		return nil, err
	}
	cfg := c.Iteration
	if c.control == controlShuffled {
		d.Annotate, d.Open = shuffled(d.Annotate, cfg.Seed), turned(d.Open, cfg.Seed)
	}
	w := &watcher{chain: c, show: c.Watch()}
	cfg.PPO.OnSamples = w.onSamples
	cfg.Watch = w.watch
	rounds, err := pipeline.Run(ctx, dir, d, cfg)
	if err == nil {
		err = w.err
	}
	for _, r := range rounds {
		c.results.Versions = append(c.results.Versions, newRoundRow(r))
	}
	return rounds, err
}

// testRewardModels asks the annotators about answers to test prompts, which no model was trained on: of SFT and of the newest version, whose
// answers are harder to tell apart.
func (c *chain) testRewardModels(ctx context.Context, versions []version, last pipeline.Version) (rows []rewardModelRow, err error) {
	comparisons, err := c.Compare(ctx, "test answers", versions[0].model, c.Annotator,
		c.World.TestPrompts(), c.TestPairs, data.HelpfulnessSet, data.SafetySet)
	if err != nil {
		return nil, err
	}
	for _, m := range [][2]string{{"helpfulness", last.Helpfulness}, {"safety", last.Safety}} {
		p, err := model.Load(m[1])
		if err != nil {
			return nil, err
		}
		scorer, err := rewardmodel.NewScorer(p, lab.MicroTokens, lab.MicroSegments)
		if err != nil {
			return nil, err
		}
		for _, set := range []data.Set{data.HelpfulnessSet, data.SafetySet} {
			var pairs []data.Pair
			var preferences []data.Preference
			for _, c := range comparisons {
				if c.Set == set {
					pairs, preferences = append(pairs, c.Pair()), append(preferences, lab.Preference(c))
				}
			}
			e, err := rewardmodel.Evaluate(ctx, scorer, pairs)
			if err != nil {
				return nil, err
			}
			ceilings, err := oracle.Ceilings(c.Annotator, preferences)
			if err != nil {
				return nil, err
			}
			rows = append(rows, newRewardModelRow(m[0], set, e, ceilings))
		}
	}
	return rows, nil
}

// testInstructions measures how well the SFT model, the first version and the last one keep an instruction.
func (c *chain) testInstructions(ctx context.Context, versions []version) error {
	for _, v := range []version{versions[0], versions[1], versions[len(versions)-1]} {
		points, err := c.Kept(ctx, v.name, v.model, keptTurns(c.MaxTurns)...)
		if err != nil {
			return err
		}
		c.results.Kept = append(c.results.Kept, keptRow{v.name, points})
	}
	return nil
}

// keptTurns are the turns of Table 30, as far as dialogues go.
func keptTurns(most int) []int {
	return slices.DeleteFunc([]int{1, 2, 4, 6, 20}, func(t int) bool { return t > most })
}

// moreSFT trains on demonstrations for as many optimisation steps as the iteration takes.
func (c *chain) moreSFT(demos int) sft.Config {
	cfg, it := c.SFT, c.Iteration
	winners := (len(c.World.RLPrompts()) + it.FineTune.BatchSize - 1) / it.FineTune.BatchSize * it.FineTune.Epochs * it.Versions
	updates := it.PPO.Iterations * it.PPO.Epochs * it.PPO.BatchSize / it.PPO.MiniBatch
	perEpoch := (demos + cfg.BatchSize - 1) / cfg.BatchSize
	cfg.Epochs = (winners + updates + perEpoch - 1) / perEpoch
	cfg.Optim = it.FineTune.Optim
	return cfg
}

// report lets the annotators pick a version on validation prompts, and measures all of them on test prompts.
func (c *chain) report(ctx context.Context, versions []version, j *pipeline.Judges, out string) error {
	best := 0
	var first []data.Sample
	r := &c.results
	for i, v := range versions {
		row, samples, err := c.Measure(ctx, v.name, v.model, versions[0].model, c.World.ValidationPrompts(), j, c.oracle)
		if err != nil {
			return err
		}
		if i == 0 {
			first = samples
		}
		if row.Preferred, err = c.Preferred(samples, first, c.World.ValidationPrompts()); err != nil {
			return err
		}
		r.Validation = append(r.Validation, row)
		if row.Preferred.Mean > r.Validation[best].Preferred.Mean {
			best = i
		}
	}
	r.Picked = versions[best].name
	for i, v := range versions {
		row, samples, err := c.Measure(ctx, v.name, v.model, versions[0].model, c.World.TestPrompts(), j, c.oracle)
		if err != nil {
			return err
		}
		if i == 0 {
			first = samples
			if j != nil {
				if r.Gate, err = c.gate(samples); err != nil {
					return err
				}
			}
		}
		if row.Preferred, err = c.Preferred(samples, first, c.World.TestPrompts()); err != nil {
			return err
		}
		r.Test = append(r.Test, row)
		cold, err := c.Sample(ctx, "cold answers of "+v.name, v.model, c.World.TestPrompts(), 1, coldTemperature, 7)
		if err != nil {
			return err
		}
		row = lab.Measure{Version: v.name}
		if err := row.Judge(cold, c.oracle); err != nil {
			return err
		}
		r.Cold = append(r.Cold, row)
		if err := c.keep(ctx, out, v, samples); err != nil {
			return err
		}
	}
	r.Steps, r.ColdSteps = steps(r.Test), steps(r.Cold)
	r.Stages = c.Stages
	return nil
}

// gate compares the gate of the combined reward with the truth, on answers to test prompts.
func (c *chain) gate(samples []data.Sample) (gateRow, error) {
	var rightly, caught []bool
	for i, p := range c.World.TestPrompts() {
		unsafe, err := c.oracle.Unsafe(p, samples[i].Text)
		if err != nil {
			return gateRow{}, err
		}
		below := *samples[i].Safety < ppo.Logit(c.Iteration.PPO.SafetyThreshold)
		if below {
			rightly = append(rightly, unsafe)
		}
		if unsafe {
			caught = append(caught, below)
		}
	}
	return gateRow{Precision: eval.ShareOf(rightly), Recall: eval.ShareOf(caught)}, nil
}

// workFolder is where the run is: the given folder, or one that is deleted at the end.
func workFolder(out string) (dir string, done func(), err error) {
	if out != "" {
		return out, func() {}, nil
	}
	dir, err = os.MkdirTemp("", "tame-quickstart-")
	return dir, func() { _ = os.RemoveAll(dir) }, err
}
