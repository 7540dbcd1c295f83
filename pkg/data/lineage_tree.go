package data

import (
	"fmt"
	"strings"

	"github.com/tame-rlhf/tame/internal/printable"
)

// Tree draws the history of something called name, a line each: its name, stage and seed, and below it what it was made from. What
// was drawn before is not drawn again.
//
//	v1.arrow  rejection sampling, seed 1
//	├── chat  sft, seed 1
//	│   ├── demonstrations.arrow  import alpaca
//	│   └── base  pretrain, seed 1
//	└── reward  reward, seed 1
//	    └── chat  (above)
func (l Lineage) Tree(name string) string {
	t := tree{known: map[string]Lineage{}, drawn: map[string]bool{}}
	for _, a := range l.Ancestors {
		t.known[a.Fingerprint] = a.Lineage
	}
	t.line("", name, l)
	t.inputs("", l)
	return t.String()
}

type tree struct {
	strings.Builder
	known map[string]Lineage // by fingerprint
	drawn map[string]bool
}

func (t *tree) line(indent, name string, l Lineage) {
	fmt.Fprintf(t, "%s%s", indent, printable.Line(name))
	if l.Stage != "" {
		fmt.Fprintf(t, "  %s", printable.Line(l.Stage))
	}
	if l.Seed != 0 {
		fmt.Fprintf(t, ", seed %d", l.Seed)
	}
	t.WriteByte('\n')
}

func (t *tree) inputs(indent string, l Lineage) {
	for i, in := range l.Inputs {
		branch, below := "├── ", "│   "
		if i == len(l.Inputs)-1 {
			branch, below = "└── ", "    "
		}
		parent, known := t.known[in.Fingerprint]
		if known && t.drawn[in.Fingerprint] {
			fmt.Fprintf(t, "%s%s%s  (above)\n", indent, branch, printable.Line(in.Name))
			continue
		}
		t.drawn[in.Fingerprint] = true
		t.line(indent+branch, in.Name, parent)
		t.inputs(indent+below, parent)
	}
}
