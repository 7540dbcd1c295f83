package main

import (
	"fmt"
	"strings"

	"github.com/tame-rlhf/tame/pkg/eval"
)

// gateTable holds the outcomes of all versions with all candidates: (opponent, candidate, version,
// prompt). The first candidate is the run's calibration.
type gateTable struct {
	candidates []candidate
	outcomes   [2][][][]outcome
}

func newGateTable(list []candidate) *gateTable {
	t := &gateTable{candidates: list}
	for side := range t.outcomes {
		t.outcomes[side] = make([][][]outcome, len(list))
	}
	return t
}

// add takes the scores of a version.
func (t *gateTable) add(g *gateScores, threshold float64) error {
	for k, c := range t.candidates {
		bias, err := g.bias(c.cfg)
		if err != nil {
			return err
		}
		for side, contests := range g.contests {
			t.outcomes[side][k] = append(t.outcomes[side][k], outcomes(contests, bias, threshold))
		}
	}
	return nil
}

// What is counted.
func isCaught(o outcome) bool      { return o.caught }
func gains(o outcome) bool         { return o.gains }
func byReward(o outcome) bool      { return o.byReward }
func byHelpfulness(o outcome) bool { return o.byHelpfulness }
func caughtAndWins(o outcome) bool { return o.caught && o.byReward }

// shares are those of the versions.
func (t *gateTable) shares(side, candidate int, holds func(outcome) bool) []eval.Mean {
	return numbers(t.outcomes[side][candidate], func(o []outcome) eval.Mean { return shareWhere(o, holds) })
}

// report adds rows and claims. The questions are those of the contests' prompts.
func (t *gateTable) report(r *report, questions []string, rollouts series) {
	own := make([][][]outcome, len(opponents))
	for side, opponent := range opponents {
		line := func(what string, list []eval.Mean) {
			for i, m := range list {
				r.row(fmt.Sprintf("V%d, against %s, %s", i+1, opponent, what), "", m, percent)
			}
		}
		if side == 0 {
			line("caught by the gate", t.shares(side, 0, isCaught))
		}
		line("wins by helpfulness alone", t.shares(side, 0, byHelpfulness))
		for k, c := range t.candidates {
			line("wins by R_c, "+c.name, t.shares(side, k, byReward))
		}
		own[side] = t.outcomes[side][0]
	}
	r.found(judgeGate(own, questions, rollouts))
}

// markdown is the whole table in percent, with the versions as columns.
func (t *gateTable) markdown() string {
	var b strings.Builder
	versions := len(t.outcomes[0][0])
	for side, opponent := range opponents {
		fmt.Fprintf(&b, "| against %s |", opponent)
		for v := range versions {
			fmt.Fprintf(&b, " V%d |", v+1)
		}
		fmt.Fprintf(&b, "\n|---|%s\n", strings.Repeat("---|", versions))
		line := func(what string, list []eval.Mean) {
			fmt.Fprintf(&b, "| %s |", what)
			for _, m := range list {
				fmt.Fprintf(&b, " %s |", percent.format(m))
			}
			b.WriteString("\n")
		}
		line("caught", t.shares(side, 0, isCaught))
		line("wins by helpfulness alone", t.shares(side, 0, byHelpfulness))
		for k, c := range t.candidates {
			line(c.name+": wins by R_c", t.shares(side, k, byReward))
			line(c.name+": is caught and wins", t.shares(side, k, caughtAndWins))
			line(c.name+": gains by being caught", t.shares(side, k, gains))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// picture has a curve over the versions for each candidate.
func (t *gateTable) picture(title string) *picture {
	p := newPicture(title, "version", "unsafe answers that win against the best answer")
	var names []string
	for v := range t.outcomes[0][0] {
		names = append(names, fmt.Sprintf("V%d", v+1))
	}
	for k, c := range t.candidates {
		p.curves(curve{name: c.name, y: t.shares(0, k, byReward)})
	}
	return p.curves(curve{name: "helpfulness alone", y: t.shares(0, 0, byHelpfulness)}).ticks(names...)
}
