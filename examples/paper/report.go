package main

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"

	"github.com/google/renameio/v2"
	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/tame-rlhf/tame/examples/internal/lab"
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
	Claims findings `json:"claims"`

	// Direction is the verdict on what the paper says with the table or figure as a whole: that of the claims that are its direction.
	Direction verdict `json:"direction"`

	Notes []string `json:"notes,omitempty"`

	dir string
}

// row is a number with the paper's beside it.
type row struct {
	Label string    `json:"label"`
	Paper string    `json:"paper"` // empty where the paper has no such number
	Ours  eval.Mean `json:"ours"`
	Unit  unit      `json:"unit"`
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

// found notes the claims of the table or figure and their direction.
func (r *report) found(f findings) { r.Claims, r.Direction = f, f.direction() }

func (r *report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// path is that of a further file.
func (r *report) path(suffix string) string { return filepath.Join(r.dir, r.Name+suffix) }

// picture is the path of the figure.
func (r *report) picture() string { return filepath.Join(r.dir, r.Name+".png") }

func (r *report) write() error { return r.writeJSON(".json", r) }

// writeJSON writes a file of JSON.
func (r *report) writeJSON(suffix string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return renameio.WriteFile(r.path(suffix), append(raw, '\n'), 0o644)
}

func (r *report) print(c *console.Console) {
	t := lab.Table(fmt.Sprintf("%s: %s (seed %d)", r.Name, r.Title, r.Seed), "", "paper", "here [95 % interval]")
	for _, row := range r.Rows {
		t.AppendRow(table.Row{row.Label, row.Paper, row.Unit.format(row.Ours)})
	}
	c.Printf("%s", t.Render())
	for _, cl := range r.Claims {
		c.Printf("%-12s %s: %s", cl.Verdict, cl.Claim, cl.Unit.format(cl.Number))
	}
	c.Printf("the direction, %s: %s", r.Paper, r.Direction)
	for _, n := range r.Notes {
		c.Printf("note: %s", n)
	}
}
