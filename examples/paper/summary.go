package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tame-rlhf/tame/internal/console"
)

// tuned are the seeds that the recipe was tuned on: what they show is no test of it.
func tuned() []uint64 { return []uint64{1, 2, 7, 11} }

// summary prints the verdicts of all seeds below a folder as Markdown: of each table and figure, of
// each claim, and all numbers. It draws the versions of all seeds as DIR/versions.svg. Seeds with different settings are an error.
func summary(c *console.Console, dir string) error {
	if err := oneRecipe(dir); err != nil {
		return err
	}
	bySeed := map[uint64]map[string]report{}
	for _, e := range experiments() {
		paths, err := filepath.Glob(filepath.Join(dir, "seed-*", "results", e.name+".json"))
		if err != nil {
			return err
		}
		for _, path := range paths {
			var r report
			raw, err := os.ReadFile(path)
			if err == nil {
				err = json.Unmarshal(raw, &r)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			if bySeed[r.Seed] == nil {
				bySeed[r.Seed] = map[string]report{}
			}
			bySeed[r.Seed][e.name] = r
		}
	}
	var seeds []uint64
	for s := range bySeed {
		seeds = append(seeds, s)
	}
	if len(seeds) == 0 {
		return fmt.Errorf("%s holds no results: run a table or figure first, with -dir %s", dir, dir)
	}
	slices.Sort(seeds)
	c.Printf("The recipe was tuned on seeds %s. %s\n", words(tuned()), tunedAmong(seeds))
	for _, print := range []func(*console.Console, []uint64, map[uint64]map[string]report){directions, claims, measured} {
		print(c, seeds, bySeed)
		c.Printf("")
	}
	return overview(dir, seeds, bySeed)
}

// tunedAmong says which of the seeds that are shown the recipe was tuned on.
func tunedAmong(seeds []uint64) string {
	var known []uint64
	for _, s := range seeds {
		if slices.Contains(tuned(), s) {
			known = append(known, s)
		}
	}
	if len(known) == 0 {
		return "None of them is shown here."
	}
	return fmt.Sprintf("Of those shown here: %s.", words(known))
}

func words(seeds []uint64) string {
	return strings.Join(numbers(seeds, func(s uint64) string { return fmt.Sprint(s) }), ", ")
}

// oneRecipe wants the settings of all seeds below a folder to be the same but for their seeds.
func oneRecipe(dir string) error {
	paths, err := filepath.Glob(filepath.Join(dir, "seed-*", settingsName))
	if err != nil {
		return err
	}
	var first []byte
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var settings any
		if err := json.Unmarshal(raw, &settings); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		recipe, err := json.Marshal(withoutSeeds(settings))
		switch {
		case err != nil:
			return err
		case first == nil:
			first = recipe
		case !bytes.Equal(first, recipe):
			return fmt.Errorf("%s and %s hold different settings: give a folder of one recipe", paths[0], path)
		}
	}
	return nil
}

// withoutSeeds removes all fields with the name Seed.
func withoutSeeds(v any) any {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "Seed")
		for _, field := range v {
			withoutSeeds(field)
		}
	case []any:
		for _, item := range v {
			withoutSeeds(item)
		}
	}
	return v
}

// directions is a row for each table and figure, and how many of them agree.
func directions(c *console.Console, seeds []uint64, bySeed map[uint64]map[string]report) {
	header(c, seeds, "", "direction")
	agree, measured := map[uint64]int{}, map[uint64]int{}
	for _, e := range experiments() {
		cells := make([]string, len(seeds))
		for i, s := range seeds {
			cells[i] = string(bySeed[s][e.name].Direction)
			if cells[i] != "" && !e.ours {
				measured[s]++
			}
			if cells[i] == string(agrees) && !e.ours {
				agree[s]++
			}
		}
		c.Printf("| `%s` | %s | %s |", e.name, e.claim, strings.Join(cells, " | "))
	}
	cells := make([]string, len(seeds))
	for i, s := range seeds {
		cells[i] = fmt.Sprintf("%d of %d", agree[s], measured[s])
	}
	c.Printf("| | of the paper's, agree | %s |", strings.Join(cells, " | "))
}

// line is a row of a table: what it is about, and the cell of a seed.
type line struct{ label, cell string }

// claims is a row for each claim.
func claims(c *console.Console, seeds []uint64, bySeed map[uint64]map[string]report) {
	header(c, seeds, "", "claim")
	lines(c, seeds, bySeed, func(r report) []line {
		return numbers(r.Claims, func(cl claim) line {
			label := cl.Claim
			if cl.Direction {
				label = "**" + label + "**"
			}
			return line{label, fmt.Sprintf("%s: %s", cl.Verdict, cl.Unit.format(cl.Number))}
		})
	})
}

// measured is a row for each number.
func measured(c *console.Console, seeds []uint64, bySeed map[uint64]map[string]report) {
	header(c, seeds, "", "", "paper")
	lines(c, seeds, bySeed, func(r report) []line {
		return numbers(r.Rows, func(row row) line { return line{row.Label + " | " + row.Paper, row.Unit.format(row.Ours)} })
	})
}

func header(c *console.Console, seeds []uint64, columns ...string) {
	for _, s := range seeds {
		columns = append(columns, fmt.Sprintf("seed %d", s))
	}
	c.Printf("| %s |\n|%s", strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
}

// lines prints what of returns for each experiment, a line for each label, in the order in which
// seeds have them.
func lines(c *console.Console, seeds []uint64, bySeed map[uint64]map[string]report, of func(report) []line) {
	for _, e := range experiments() {
		var order []string
		cells := map[string][]string{}
		for i, s := range seeds {
			for _, l := range of(bySeed[s][e.name]) {
				if cells[l.label] == nil {
					order, cells[l.label] = append(order, l.label), make([]string, len(seeds))
				}
				cells[l.label][i] = l.cell
			}
		}
		name := "`" + e.name + "`"
		for _, label := range order {
			c.Printf("| %s | %s | %s |", name, label, strings.Join(cells[label], " | "))
			name = ""
		}
	}
}
