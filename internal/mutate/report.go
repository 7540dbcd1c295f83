package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// maxSurvivors is how many breaks may survive in all, each with a reason.
const maxSurvivors = 3

// summary counts the verdicts of one list.
type summary struct {
	tried, killed, timedOut, survived int
	took                              time.Duration
}

func (s *summary) add(v verdict) {
	s.tried++
	s.took += v.took
	switch v.outcome {
	case survived:
		s.survived++
	case timedOut:
		s.timedOut++
		s.killed++
	default:
		s.killed++
	}
}

// report prints a table with a row for each list, and says whether the check passed.
func report(w io.Writer, verdicts []verdict) error {
	var names []string
	var all summary
	lists := map[string]*summary{}
	bad := 0
	for _, v := range verdicts {
		if lists[v.list] == nil {
			names, lists[v.list] = append(names, v.list), &summary{}
		}
		lists[v.list].add(v)
		all.add(v)
		if v.bad() {
			bad++
		}
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "list\ttried\tkilled\tby time limit\tsurvived\ttime\t")
	row := func(name string, s summary) {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%v\t\n", name, s.tried, s.killed, s.timedOut, s.survived, s.took.Round(time.Second))
	}
	for _, name := range names {
		row(name, *lists[name])
	}
	row("all", all)
	if err := table.Flush(); err != nil {
		return err
	}
	switch {
	case bad > 0:
		return fmt.Errorf("%d of %d breaks did not end as their list says", bad, all.tried)
	case all.survived > maxSurvivors:
		return fmt.Errorf("%d breaks survive, at most %d may", all.survived, maxSurvivors)
	}
	return nil
}
