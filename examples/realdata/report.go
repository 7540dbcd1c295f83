package main

import (
	"encoding/json"
	"fmt"

	"github.com/google/renameio/v2"
	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/tame-rlhf/tame/examples/internal/lab"
	"github.com/tame-rlhf/tame/internal/console"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/rejection"
)

// results is what is reported. Intervals are of 95 %.
type results struct {
	Seed          uint64            `json:"seed"`
	Files         []fileRow         `json:"files"`
	Prompts       promptRow         `json:"prompts"`
	NoRoom        int               `json:"no_room"`         // prompts that leave no room for an answer
	Stages        []lab.Stage       `json:"stages"`          // tokens read or sampled and seconds, in order
	Ghost         ghosts            `json:"ghost_attention"` // on held-out dialogues
	RewardModels  []accuracyRow     `json:"reward_models"`   // on the pairs held out
	Third         []accuracyRow     `json:"third"`           // the third model, on the pairs the others were trained on
	Temperatures  []rejection.Point `json:"temperatures"`    // rejection sampling on validation prompts, one point each
	Winners       int               `json:"winners"`         // prompts with a finished answer
	PPO           []ppoRow          `json:"ppo"`
	BestIteration int               `json:"best_iteration"` // of PPO, by the validation prompts
	Versions      []versionRow      `json:"versions"`       // on test prompts
	Example       string            `json:"example"`        // the prompt of the versions' examples
}

// promptRow counts the prompts that answers are sampled to.
type promptRow struct {
	RL         int `json:"rl"`
	Validation int `json:"validation"`
	Test       int `json:"test"`
}

// accuracyRow is a group of pairs held out.
type accuracyRow struct {
	Group   string                `json:"group"`
	Pairs   int                   `json:"pairs"`
	Prompts int                   `json:"prompts"` // different ones: pairs of one prompt are not independent
	Longer  eval.Mean             `json:"longer"`  // share of pairs whose chosen answer is the longer one
	Models  map[string]accuracies `json:"models"`
}

// accuracies of a reward model.
type accuracies struct {
	All      eval.Mean            `json:"all"`
	ByRating map[string]eval.Mean `json:"by_rating"`
}

// ppoRow is an iteration of PPO. Rewards are means of R_c as a logit.
type ppoRow struct {
	Iteration  int      `json:"iteration"`
	Reward     float64  `json:"reward"`     // of the answers trained on
	Validation *float64 `json:"validation"` // of answers to the validation prompts, where they were looked at
	KL         float64  `json:"kl"`         // to the start of PPO, nats per answer, estimated by k1
	Length     float64  `json:"length"`     // tokens per answer
}

// versionRow is what is reported of a version, over the answers it samples to test prompts at temperature 1. Rewards are
// R_c as a logit, gains are against SFT, prompt by prompt.
type versionRow struct {
	Version     string    `json:"version"`
	Loss        eval.Mean `json:"loss"` // nats per token of the demonstrations held out
	Reward      eval.Mean `json:"reward"`
	Helpful     eval.Mean `json:"helpful"` // reward, prompts without the safety tag
	Safe        eval.Mean `json:"safe"`    // reward, prompts with it
	Gain        eval.Mean `json:"gain"`
	GainHelpful eval.Mean `json:"gain_helpful"`
	GainSafe    eval.Mean `json:"gain_safe"`
	Ended       eval.Mean `json:"ended"` // reward, answers that ended by themselves only
	Gated       eval.Mean `json:"gated"` // share of prompts without the tag whose answer was judged by its safety all the same
	Third       eval.Mean `json:"third"` // gain by the third reward model
	KL          eval.Mean `json:"kl"`    // to SFT, nats per answer, exact over the vocabulary
	Length      eval.Mean `json:"length"`
	Finished    eval.Mean `json:"finished"` // share of answers that ended by themselves
	Example     string    `json:"example"`
}

// write puts everything into a file.
func (r results) write(path string) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return renameio.WriteFile(path, append(raw, '\n'), 0o644)
}

// print writes the tables.
func (r results) print(c *console.Console) {
	r.printFiles(c)
	r.Ghost.print(c)
	r.printRewardModels(c)
	r.printVersions(c)

	lab.PrintStages(c, r.Stages)
}

func (r results) printFiles(c *console.Console) {
	t := lab.Table("Rows: longer than the context are left out, none is cut", "file", "use", "rows", "refused", "too long", "train", "held out")
	var sum fileRow
	for _, f := range r.Files {
		t.AppendRow(table.Row{f.File, f.Use, f.Rows, f.Refused, f.TooLong, f.Train, f.HeldOut})
		sum.Rows, sum.Refused, sum.TooLong = sum.Rows+f.Rows, sum.Refused+f.Refused, sum.TooLong+f.TooLong
		sum.Train, sum.HeldOut = sum.Train+f.Train, sum.HeldOut+f.HeldOut
	}
	t.AppendFooter(table.Row{"all", "", sum.Rows, sum.Refused, sum.TooLong, sum.Train, sum.HeldOut})
	c.Printf("%s", t.Render())
	for _, f := range r.Files {
		if f.Refused > 0 {
			c.Printf("first refused: %s", f.Reason)
		}
	}
	c.Printf("prompts: %d for rejection sampling and PPO, %d for validation, %d for the test; %d left no room for an answer",
		r.Prompts.RL, r.Prompts.Validation, r.Prompts.Test, r.NoRoom)
}

func (r results) printRewardModels(c *console.Console) {
	t := lab.Table("Accuracy on pairs held out, with its 95 % interval; 50 % is chance", "pairs", "rating", "n", "prompts", "helpfulness model", "safety model", "longer answer")
	for _, row := range r.RewardModels {
		h, s := row.Models["helpfulness"], row.Models["safety"]
		t.AppendRow(table.Row{row.Group, "all", row.Pairs, row.Prompts, percent(h.All), percent(s.All), percent(row.Longer)})
		if len(h.ByRating) < 2 {
			continue
		}
		for rating := data.SignificantlyBetter; rating >= data.NegligiblyBetter; rating-- {
			if m, ok := h.ByRating[rating.String()]; ok {
				t.AppendRow(table.Row{"", rating, m.N, "", percent(m), percent(s.ByRating[rating.String()]), ""})
			}
		}
	}
	third := lab.Table("Third model, trained on the pairs held out, on all others", "pairs", "n", "prompts", "third model", "longer answer")
	for _, row := range r.Third {
		third.AppendRow(table.Row{row.Group, row.Pairs, row.Prompts, percent(row.Models["third"].All), percent(row.Longer)})
	}
	c.Printf("%s\n%s", t.Render(), third.Render())
}

func (r results) printVersions(c *console.Console) {
	t := lab.Table("Reward (R_c, logit) of answers to test prompts", "version", "all", "helpfulness prompts", "safety prompts", "finished answers only")
	gains := lab.Table("Reward minus that of SFT, prompt by prompt", "version", "all", "helpfulness prompts", "safety prompts", "all, third model")
	rest := lab.Table("What else changed", "version", "loss on demonstrations", "KL to SFT", "tokens", "finished", "helpfulness prompts judged by safety")
	for _, v := range r.Versions {
		t.AppendRow(table.Row{v.Version, number(v.Reward), number(v.Helpful), number(v.Safe), number(v.Ended)})
		gains.AppendRow(table.Row{v.Version, number(v.Gain), number(v.GainHelpful), number(v.GainSafe), number(v.Third)})
		rest.AppendRow(table.Row{v.Version, number(v.Loss), number(v.KL), fmt.Sprintf("%.1f", v.Length.Mean), percent(v.Finished), percent(v.Gated)})
	}
	c.Printf("%s\n%s\n%s", t.Render(), gains.Render(), rest.Render())
	for _, v := range r.Versions {
		c.Printf("%-18s says to %q: %q", v.Version, r.Example, v.Example)
	}
	c.Printf("%d winners of rejection sampling; PPO's best iteration on validation prompts: %d of %d", r.Winners, r.BestIteration, len(r.PPO))
}

// percent is a share with its interval, or nothing where there is none.
func percent(m eval.Mean) string {
	if m.N == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f %% [%.1f, %.1f]", 100*m.Mean, 100*m.Lo, 100*m.Hi)
}

// number is a mean with its interval, or nothing where there is none.
func number(m eval.Mean) string {
	if m.N < 2 {
		return ""
	}
	return fmt.Sprintf("%.2f [%.2f, %.2f]", m.Mean, m.Lo, m.Hi)
}
