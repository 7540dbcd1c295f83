package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/tame-rlhf/tame/examples/internal/lab"
	"github.com/tame-rlhf/tame/internal/console"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/gatt"
	"github.com/tame-rlhf/tame/pkg/pipeline"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
	"github.com/tame-rlhf/tame/pkg/world/oracle"
)

// coldTemperature is the lowest that rejection sampling may choose. Fine-tuning on one's own answers at a low temperature makes a distribution sharper, and answers at
// temperature 1 better, without any feedback. At that temperature this gains little.
const coldTemperature = 0.4

// results is what results.json holds. Intervals are of 95 %.
type results struct {
	Seed         uint64           `json:"seed"`
	Control      string           `json:"control"`       // none, shuffled (preference labels) or sft (no feedback)
	Stages       []lab.Stage      `json:"stages"`        // tokens read or sampled and seconds, in order
	Versions     []roundRow       `json:"versions"`      // what each version was made from
	RewardModels []rewardModelRow `json:"reward_models"` // accuracy of the last version's on test preferences
	Gate         gateRow          `json:"gate"`          // the safety gate on SFT's answers to test prompts
	Kept         []keptRow        `json:"kept"`          // how long versions keep an instruction
	PPO          []ppoRow         `json:"ppo"`           // one row an iteration
	Validation   []lab.Measure    `json:"validation"`    // versions on validation prompts, where annotators pick
	Picked       string           `json:"picked"`        // version that annotators prefer there
	Test         []lab.Measure    `json:"test"`          // versions on test prompts
	Cold         []lab.Measure    `json:"test_cold"`     // the same at temperature 0.4, by the oracle alone

	Steps     []lab.Difference `json:"steps"`      // each version minus the one before it, on test prompts
	ColdSteps []lab.Difference `json:"steps_cold"` // the same at temperature 0.4
}

// steps are the differences between neighbours.
func steps(list []lab.Measure) (out []lab.Difference) {
	for i := 1; i < len(list); i++ {
		d := list[i].Verdicts.Minus(list[i-1].Verdicts)
		d.Version, d.Before = list[i].Version, list[i-1].Version
		out = append(out, d)
	}
	return out
}

// roundRow is what a version was made from.
type roundRow struct {
	Version      string            `json:"version"`
	Helpfulness  int               `json:"helpfulness_pairs"` // fresh pairs
	Safety       int               `json:"safety_pairs"`
	OwnAccuracy  [2]eval.Mean      `json:"own_accuracy"` // of both reward models, each on the held-out pairs of its own set, all batches so far
	Ghosts       int               `json:"ghosts"`       // examples of Ghost Attention in its fine-tuning
	Distilled    int               `json:"distilled"`    // and of safety context distillation
	Temperature  float64           `json:"temperature"`  // chosen for rejection sampling
	Temperatures []pipeline.Tuning `json:"temperatures"` // tried
}

// newRoundRow sums up a version.
func newRoundRow(v pipeline.Version) roundRow {
	row := roundRow{
		Version: fmt.Sprintf("V%d", v.Number), Helpfulness: v.Preferences[0], Safety: v.Preferences[1],
		Ghosts: v.Ghosts, Distilled: v.Distilled, Temperature: v.Temperature, Temperatures: v.Temperatures,
	}
	var own [2]rewardmodel.Count
	for _, a := range v.Accuracies {
		if a.Model == a.Set.String() {
			own[a.Set].Hits += a.Hits
			own[a.Set].N += a.N
		}
	}
	for i, c := range own {
		row.OwnAccuracy[i] = meanOf(c)
	}
	return row
}

// keptRow is the share of an instruction's attributes that a version keeps, by the turn.
type keptRow struct {
	Version string       `json:"version"`
	Turns   []gatt.Point `json:"turns"`
}

// rewardModelRow is one reward model on one test set.
type rewardModelRow struct {
	Model        string      `json:"model"`
	Set          string      `json:"set"`
	Pairs        int         `json:"pairs"`
	Accuracy     eval.Mean   `json:"accuracy"`
	ByRating     []ratingRow `json:"by_rating"`     // from significantly to negligibly better
	UnsafeRecall eval.Mean   `json:"unsafe_recall"` // of answers labelled unsafe, called so at 0.5
}

// ratingRow is the accuracy on pairs of one rating, beside the best possible one.
type ratingRow struct {
	Rating   string    `json:"rating"`
	Accuracy eval.Mean `json:"accuracy"`
	Ceiling  float64   `json:"ceiling"` // of a judge who knows the true utilities
}

// gateRow is how well the gate of the combined reward tells unsafe answers, by the oracle.
type gateRow struct {
	Precision eval.Mean `json:"precision"` // unsafe ones of the answers it takes for unsafe
	Recall    eval.Mean `json:"recall"`    // answers it takes for unsafe of the unsafe ones
}

// ppoRow is an iteration of PPO.
type ppoRow struct {
	Iteration   int     `json:"iteration"`
	Reward      float64 `json:"reward"`      // combined reward of the rollouts, from the reward models
	Helpfulness float64 `json:"helpfulness"` // oracle, rollouts on normal and borderline prompts
	Unsafe      float64 `json:"unsafe"`      // oracle, share of all prompts
	Length      float64 `json:"length"`      // tokens per answer
	KL          float64 `json:"kl"`          // to the start of PPO, nats per answer, estimated by k1
	Part        bool    `json:"part"`        // the reward rose since the row before, the oracle's helpfulness fell
}

// write puts results.json and everything else into the folder.
func (r results) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return renameio.WriteFile(filepath.Join(dir, "results.json"), append(raw, '\n'), 0o644)
}

// keep writes a version's answers to test prompts as an Arrow dataset.
func (c *chain) keep(ctx context.Context, dir string, v version, samples []data.Sample) error {
	lineage := data.Lineage{Stage: "answers of " + v.name, Seed: c.World.Config().Seed}
	if v.dir != "" {
		if err := lineage.Add(ctx, v.dir); err != nil {
			return err
		}
	}
	return data.Write(filepath.Join(dir, "samples-"+v.folder()+".arrow"), samples, lineage)
}

func (v version) folder() string { return strings.ReplaceAll(strings.ToLower(v.name), " ", "-") }

// newRewardModelRow turns an evaluation into a row, with the ceilings of the test preferences.
func newRewardModelRow(model string, set data.Set, e rewardmodel.Evaluation, ceilings []oracle.Ceiling) rewardModelRow {
	row := rewardModelRow{
		Model: model, Set: set.String(), Pairs: e.Accuracy.N,
		Accuracy: meanOf(e.Accuracy), UnsafeRecall: meanOf(e.UnsafeRecall),
	}
	for i := len(ceilings) - 1; i >= 0; i-- {
		c := ceilings[i]
		row.ByRating = append(row.ByRating, ratingRow{Rating: c.Rating.String(), Accuracy: meanOf(e.ByRating[c.Rating]), Ceiling: c.Accuracy})
	}
	return row
}

func meanOf(c rewardmodel.Count) eval.Mean {
	lo, hi := c.Interval()
	return eval.Mean{Mean: c.Rate(), Lo: lo, Hi: hi, N: c.N}
}

// print writes the tables.
func (r results) print(c *console.Console) {
	lab.PrintStages(c, r.Stages)

	if len(r.Versions) > 0 {
		rounds := lab.Table("What each version was made from; accuracy in % of the reward models on held-out pairs of their own set",
			"version", "fresh helpfulness pairs", "fresh safety pairs", "helpfulness model", "safety model", "temperature", "Ghost Attention", "distilled")
		for _, v := range r.Versions {
			rounds.AppendRow(table.Row{v.Version, v.Helpfulness, v.Safety, percent(v.OwnAccuracy[0]), percent(v.OwnAccuracy[1]), v.Temperature, v.Ghosts, v.Distilled})
		}
		c.Printf("%s", rounds.Render())
	}
	if len(r.Kept) > 0 {
		header := []any{"version"}
		for _, pt := range r.Kept[0].Turns {
			header = append(header, fmt.Sprintf("turn %d", pt.Turn))
		}
		kept := lab.Table("Share in % of an instruction's attributes kept, given in the first turn only (paper, turns 2, 4, 6 and 20: 100, 10, 0, 0 before Ghost "+
			"Attention, 100 with it)", header...)
		for _, v := range r.Kept {
			row := table.Row{v.Version}
			for _, pt := range v.Turns {
				row = append(row, percent(pt.Kept))
			}
			kept.AppendRow(row)
		}
		c.Printf("%s", kept.Render())
	}
	if len(r.RewardModels) > 0 {
		models := lab.Table("Reward models on test preferences: accuracy in % [95 % interval] and the best possible",
			"model", "set", "pairs", "all", "significantly", "better", "slightly", "negligibly", "unsafe recall %")
		for _, m := range r.RewardModels {
			row := table.Row{m.Model, m.Set, m.Pairs, percent(m.Accuracy)}
			for _, b := range m.ByRating {
				row = append(row, fmt.Sprintf("%s of %.0f", percent(b.Accuracy), 100*b.Ceiling))
			}
			models.AppendRow(append(row, fmt.Sprintf("%.0f", 100*m.UnsafeRecall.Mean)))
		}
		c.Printf("%s", models.Render())
	}
	c.Printf("The gate at a safety reward of 0.15, on SFT's answers to test prompts: precision %s, recall %s (paper: 0.89, 0.55)",
		number(r.Gate.Precision), number(r.Gate.Recall))
	printVersions(c, "Versions on validation prompts; the annotators pick "+r.Picked, r.Validation)
	printVersions(c, "Versions on test prompts, picked: "+r.Picked, r.Test)
	cold := lab.Table(fmt.Sprintf("Versions on test prompts at temperature %g: what is more than a sharper distribution", coldTemperature),
		"version", "helpfulness", "unsafe %", "false refusals %")
	for _, v := range r.Cold {
		cold.AppendRow(table.Row{v.Version, number(v.Helpfulness), percent(v.Unsafe), percent(v.FalseRefusal)})
	}
	c.Printf("%s", cold.Render())
	printSteps(c, "What each step changes at temperature 1, prompt by prompt", r.Steps)
	printSteps(c, fmt.Sprintf("What each step changes at temperature %g", coldTemperature), r.ColdSteps)
}

func printSteps(c *console.Console, title string, steps []lab.Difference) {
	t := lab.Table(title, "step", "helpfulness", "unsafe, points", "false refusals, points")
	for _, d := range steps {
		t.AppendRow(table.Row{d.Before + " to " + d.Version, number(d.Helpfulness), percent(d.Unsafe), percent(d.FalseRefusal)})
	}
	c.Printf("%s", t.Render())
}

func printVersions(c *console.Console, title string, rows []lab.Measure) {
	t := lab.Table(title, "version", "helpfulness", "unsafe %", "false refusals %", "reward", "preferred %", "KL to SFT", "tokens", "finished %")
	for _, v := range rows {
		t.AppendRow(table.Row{
			v.Version, number(v.Helpfulness), percent(v.Unsafe), percent(v.FalseRefusal), number(v.Reward), percent(v.Preferred),
			number(v.KL), fmt.Sprintf("%.1f", v.Length.Mean), fmt.Sprintf("%.0f", 100*v.Finished.Mean),
		})
	}
	c.Printf("%s", t.Render())
}

func percent(m eval.Mean) string {
	return fmt.Sprintf("%.1f [%.1f, %.1f]", 100*m.Mean, 100*m.Lo, 100*m.Hi)
}

func number(m eval.Mean) string { return fmt.Sprintf("%.2f [%.2f, %.2f]", m.Mean, m.Lo, m.Hi) }
