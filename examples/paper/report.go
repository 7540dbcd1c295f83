package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/tame-rlhf/tame/internal/console"
	"github.com/tame-rlhf/tame/pkg/eval"
)

// report is what a command found.
type report struct {
	Name   string   `json:"name"`
	Title  string   `json:"title"`
	Paper  string   `json:"paper"` // what it claims, in a sentence
	Seed   uint64   `json:"seed"`
	Rows   []row    `json:"rows"`
	Claims []claim  `json:"claims"`
	Notes  []string `json:"notes,omitempty"`

	dir string
}

// row is a number with the paper's beside it.
type row struct {
	Label string    `json:"label"`
	Paper string    `json:"paper"` // empty where the paper has no such number
	Ours  eval.Mean `json:"ours"`
	Unit  unit      `json:"unit"`
}

// claim is something that the paper's numbers say, and whether ours say so too.
type claim struct {
	Claim   string    `json:"claim"`
	Number  eval.Mean `json:"number"` // that decided
	Unit    unit      `json:"unit"`
	Verdict verdict   `json:"verdict"`
}

// unit says how a number is printed.
type unit string

const (
	percent unit = "%" // of a share
	plain   unit = ""
)

func (u unit) format(m eval.Mean) string {
	switch {
	case math.IsNaN(m.Mean):
		return "none"
	case u == percent:
		return fmt.Sprintf("%.1f [%.1f, %.1f] %%", 100*m.Mean, 100*m.Lo, 100*m.Hi)
	}
	return fmt.Sprintf("%.2f [%.2f, %.2f]", m.Mean, m.Lo, m.Hi)
}

func (r *report) row(label, paper string, ours eval.Mean, u unit) {
	r.Rows = append(r.Rows, row{label, paper, ours, u})
}

func (r *report) claim(text string, number eval.Mean, u unit, v verdict) {
	r.Claims = append(r.Claims, claim{text, number, u, v})
}

func (r *report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// path is that of a further file.
func (r *report) path(suffix string) string { return filepath.Join(r.dir, r.Name+suffix) }

// picture is the path of the figure.
func (r *report) picture() string { return filepath.Join(r.dir, r.Name+".png") }

func (r *report) write() error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return renameio.WriteFile(filepath.Join(r.dir, r.Name+".json"), append(raw, '\n'), 0o644)
}

func (r *report) print(c *console.Console) {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.SetTitle("%s: %s (seed %d)", r.Name, r.Title, r.Seed)
	t.AppendHeader(table.Row{"", "paper", "here [95 % interval]"})
	for _, row := range r.Rows {
		t.AppendRow(table.Row{row.Label, row.Paper, row.Unit.format(row.Ours)})
	}
	c.Printf("%s", t.Render())
	for _, cl := range r.Claims {
		c.Printf("%-12s %s: %s", cl.Verdict, cl.Claim, cl.Unit.format(cl.Number))
	}
	for _, n := range r.Notes {
		c.Printf("note: %s", n)
	}
}

// summary prints the verdicts of all seeds below a folder as a Markdown table.
func summary(c *console.Console, dir string) error {
	type key struct{ name, claim string }
	cells := map[key]map[uint64]string{}
	var seeds []uint64
	order := map[string][]string{} // claims of each experiment
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
			if !slices.Contains(seeds, r.Seed) {
				seeds = append(seeds, r.Seed)
			}
			for _, cl := range r.Claims {
				k := key{e.name, cl.Claim}
				if cells[k] == nil {
					cells[k] = map[uint64]string{}
					order[e.name] = append(order[e.name], cl.Claim)
				}
				cells[k][r.Seed] = fmt.Sprintf("%s: %s", cl.Verdict, cl.Unit.format(cl.Number))
			}
		}
	}
	slices.Sort(seeds)
	head, rule := "| | claim |", "|---|---|"
	for _, s := range seeds {
		head, rule = head+fmt.Sprintf(" seed %d |", s), rule+"---|"
	}
	c.Printf("%s\n%s", head, rule)
	for _, e := range experiments() {
		for _, text := range order[e.name] {
			list := make([]string, len(seeds))
			for i, s := range seeds {
				list[i] = cells[key{e.name, text}][s]
			}
			c.Printf("| %s | %s | %s |", e.name, text, strings.Join(list, " | "))
		}
	}
	return nil
}
