// Paper shows tables and figures of the Llama 2 paper (Touvron et al. 2023) in the small world: it prints the paper's numbers beside those
// measured here, says of each claim whether the direction agrees, draws a picture and writes a JSON file.
//
//	go run ./examples/paper -seed 1 -dir paper-out table8 figure11
//	go run ./examples/paper -seed 1 -dir paper-out all
//	go run ./examples/paper -dir paper-out summary
//
// Models, preferences and answers that several of them need are made once per seed and kept in the folder. A run that was stopped goes on.
// docs/paper.md has the numbers of four seeds.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/tame-rlhf/tame/examples/internal/lab"
	"github.com/tame-rlhf/tame/internal/console"
)

// experiment is a table or figure.
type experiment struct {
	name  string
	title string
	claim string // what the paper says, or for ours what would be good, in a sentence
	ours  bool   // the paper has no such table or figure
	run   func(context.Context, *bench, *report) error
}

// experiments are all there are, in the order in which "all" runs them.
func experiments() []experiment {
	return []experiment{
		{"table7", "Accuracy of reward models on both test sets", "each model is better than all others on its own set", false, table7},
		{"table8", "Accuracy by rating", "accuracy rises with how clear people found the pair", false, table8},
		{"figure29", "Calibration of reward models", "the mean score rises over all ratings", false, figure29},
		{"figure20", "Distribution of rewards over versions", "RLHF moves the distribution up and thins its low tail", false, figure20},
		{"figure7", "Best and median reward of N answers", "the best grows with N, the median stays, and the best is better by other judges", false, figure7},
		{"figure8", "Temperature and number of answers", "for N from 10 to 100 the best temperature is higher after RLHF than after SFT", false, figure8},
		{"table29", "Auxiliary safety loss", "recall of unsafe answers rises at no cost in accuracy", false, table29},
		{"table27", "Margins in the ranking loss", "a larger margin drives scores apart", false, table27},
		{"table28", "Accuracy by margin", "a margin helps where pairs are clear and not where they are unclear", false, table28},
		{"table30", "Ghost Attention", "what was asked in the first turn is kept in later ones", false, table30},
		{"figure11", "Versions by three reward models", "rewards rise, and the general one does not fall from its peak", false, figure11},
		{"figure14", "Safety scores without and with safety data", "answers become safer, helpfulness stays", false, figure14},
		{"figure15", "Safety scores by share of safety data", "the low tail goes, helpfulness stays", false, figure15},
		{"figure33", "False refusals by share of safety data", "more safety data, more false refusals of borderline prompts", false, figure33},
		{"gate", "Unsafe answers that win by R_c", "the gate lets fewer unsafe answers win than helpfulness alone", true, gate},
		{"versions", "Differences between neighbouring versions", "every version improves on the one before", true, versions},
		{"ppo", "PPO from SFT, from a version and on the last one, and rejection sampling alone", "PPO on top of the last version improves on it", true, climbs},
		{"figure6", "Accuracy by data and model size", "accuracy grows with data at every size, and with size", false, figure6},
	}
}

func main() {
	seed := flag.Uint64("seed", 1, "decides the world and all randomness")
	dir := flag.String("dir", "paper-out", "folder for results and for all that several commands need")
	short := flag.Bool("short", false, "a small world and few steps: shows that everything works, not that it learns")
	flag.Usage = usage
	flag.Parse()

	s, m := lab.Default(*seed), enough
	if *short {
		s, m = lab.Short(*seed), few
	}
	lab.Main("paper", "stopped; the same command goes on", func(ctx context.Context, c *console.Console) error {
		return run(ctx, c, *dir, *seed, s, m, flag.Args())
	})
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: paper [-seed N] [-dir DIR] [-short] COMMAND...\n\ncommands:")
	for _, e := range experiments() {
		fmt.Fprintf(os.Stderr, "  %-9s %s: %s\n", e.name, e.title, e.claim)
	}
	fmt.Fprint(os.Stderr, "  all       all of these\n  summary   the verdicts of all seeds in DIR as Markdown\n\nflags:\n")
	flag.PrintDefaults()
}

// run runs the named commands.
func run(ctx context.Context, c *console.Console, dir string, seed uint64, s lab.Settings, m many, names []string) error {
	if len(names) == 1 && names[0] == "summary" {
		return summary(c, dir)
	}
	chosen, err := choose(names)
	if err != nil {
		return err
	}
	b, err := newBench(ctx, c, dir, seed, s, m)
	if err != nil {
		return err
	}
	for _, e := range chosen {
		r := &report{Name: e.name, Title: e.title, Paper: e.claim, Seed: seed, dir: b.path("results")}
		if err := os.MkdirAll(r.dir, 0o755); err != nil {
			return err
		}
		if err := e.run(ctx, b, r); err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
		r.print(c)
		if err := r.write(); err != nil {
			return err
		}
	}
	return nil
}

// choose finds the experiments by their names.
func choose(names []string) ([]experiment, error) {
	all := experiments()
	if len(names) == 1 && names[0] == "all" {
		return all, nil
	}
	var chosen []experiment
	known := numbers(all, func(e experiment) string { return e.name })
	for _, name := range names {
		if i := slices.Index(known, name); i >= 0 {
			chosen = append(chosen, all[i])
		} else {
			return nil, fmt.Errorf("there is no %q: say one or more of %s, or all, or summary alone", name, strings.Join(known, " "))
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("say which table or figure: %s, all or summary", strings.Join(known, " "))
	}
	return chosen, nil
}
