package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tame-rlhf/tame/internal/printable"
	"github.com/tame-rlhf/tame/pkg/curate"
	"github.com/tame-rlhf/tame/pkg/data"
)

func dataStatsCommand() *cobra.Command {
	var tokenizerPath string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "stats FILE.arrow",
		Short: "Count what is in a dataset",
		Long: "Counts rows, turns, lengths, duplicates, empty answers and, as far as the rows have them, ratings, safety labels, sets, sources, scores,\n" +
			"temperatures. Lengths are in characters, with --tokenizer also in tokens of the sequence that the stages train on.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := openDataset(cmd, args[0])
			if err != nil {
				return err
			}
			defer d.close()
			s := newStats(d.form)
			if tokenizerPath != "" {
				if _, s.tokens, err = sizer(cmd, tokenizerPath); err != nil {
					return err
				}
			}
			if err := visit(cmd, "counting", s.add, d); err != nil {
				return err
			}
			report := s.report()
			if asJSON {
				return printJSON(cmd.OutOrStdout(), report)
			}
			return report.print(cmd.OutOrStdout(), args[0])
		},
	}
	cmd.Flags().StringVar(&tokenizerPath, "tokenizer", "", "also measure in tokens: "+tokenizerFiles)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print everything as JSON")
	return cmd
}

// statsReport is what tame data stats tells.
type statsReport struct {
	Form    string       `json:"form"`
	Rows    int          `json:"rows"`
	Counts  []namedCount `json:"counts"`  // rows that have something
	Numbers []numbers    `json:"numbers"` // per row
	Values  []valueTable `json:"values"`
}

// namedCount is how many rows have something.
type namedCount struct {
	Name string `json:"name"`
	Rows int    `json:"rows"`
}

// numbers is how a number of each row is distributed. Median and P95 are values that are there: half and 95 % of the rows have
// at most that much.
type numbers struct {
	Name   string  `json:"name"`
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	Mean   float64 `json:"mean"`
	P95    float64 `json:"p95"`
	Max    float64 `json:"max"`
	Sum    float64 `json:"sum"`
	Rows   int     `json:"rows"`
}

// valueTable is how many rows have each value of a column.
type valueTable struct {
	Column string       `json:"column"`
	Values []namedCount `json:"values"`
	Others int          `json:"others,omitempty"` // rows with other values than those, which were there first
}

// stats counts. What it has no name for yet is put behind what it has, so that the report has a fixed order.
type stats struct {
	form    data.Schema
	rows    int
	tokens  func(record) (data.Size, error)
	dedup   curate.Dedup
	prompts curate.Dedup

	counts  []namedCount
	numbers []numberList
	values  []valueTable
}

type numberList struct {
	name string
	all  []float64
}

func newStats(form data.Schema) *stats {
	return &stats{form: form, prompts: curate.Dedup{Of: curate.PromptOnly}}
}

// at is the first entry that is wanted. If there is none yet, fresh is appended.
func at[T any](list *[]T, wanted func(T) bool, fresh T) *T {
	i := slices.IndexFunc(*list, wanted)
	if i < 0 {
		i = len(*list)
		*list = append(*list, fresh)
	}
	return &(*list)[i]
}

func (s *stats) count(name string, has bool) {
	c := at(&s.counts, func(c namedCount) bool { return c.Name == name }, namedCount{Name: name})
	if has {
		c.Rows++
	}
}

func (s *stats) number(name string, x float64) {
	n := at(&s.numbers, func(n numberList) bool { return n.name == name }, numberList{name: name})
	n.all = append(n.all, x)
}

func (s *stats) value(column, value string) {
	table := at(&s.values, func(v valueTable) bool { return v.Column == column }, valueTable{Column: column})
	i := slices.IndexFunc(table.Values, func(c namedCount) bool { return c.Name == value })
	switch {
	case i >= 0:
		table.Values[i].Rows++
	case len(table.Values) < mostValues:
		table.Values = append(table.Values, namedCount{value, 1})
	default:
		table.Others++
	}
}

// mostValues is how many values of a column are counted one by one.
const mostValues = 50

func (s *stats) add(row record) {
	s.rows++
	s.count("duplicates of a row before", s.dedup.Seen(row))
	if s.form.Name != "text" {
		s.count("with the prompt of a row before", s.prompts.Seen(row))
	}
	empty, answers, turns, system := false, false, 0, false
	for _, p := range row.Parts() {
		answers = answers || p.Answer
		empty = empty || p.Answer && strings.TrimSpace(p.Text) == ""
		system = system || p.Role == data.System
		if p.Role == data.User {
			turns++
		}
	}
	if answers {
		s.count("with an empty answer", empty)
	}
	if s.form.Name != "text" {
		s.count("with a system prompt", system)
		s.number("turns", float64(turns))
	}
	s.sizes("characters", data.Chars(row))
	if s.tokens != nil {
		size, err := s.tokens(row)
		s.count("refused by the chat format", err != nil)
		if err == nil {
			s.sizes("tokens", size)
		}
	}
	s.addForm(row)
}

func (s *stats) sizes(unit string, size data.Size) {
	if s.form.Name != "text" && s.form.Name != "prompt" {
		s.number(unit+" of the prompt", float64(size.Prompt))
		s.number(unit+" of the answer", float64(size.Answer))
	}
	s.number(unit, float64(size.Whole()))
}

// addForm counts what only rows of one form have.
func (s *stats) addForm(row record) {
	switch row := row.(type) {
	case data.Prompt:
		s.count("tagged as a safety prompt", row.Safety)
	case data.Conversation:
		s.count("that end with the user", row.Messages[len(row.Messages)-1].Role == data.User)
		s.value("source", row.Source)
	case data.Preference:
		s.count("with two equal answers", row.Chosen == row.Rejected)
		chosen, rejected := data.Chars(data.Text{Text: row.Chosen}), data.Chars(data.Text{Text: row.Rejected})
		s.count("whose chosen answer is longer", chosen.Answer > rejected.Answer)
		s.value("set", row.Set.String())
		s.value("rating", row.Rating.String())
		s.value("chosen_safe, rejected_safe", row.ChosenSafe.String()+", "+row.RejectedSafe.String())
	case data.Sample:
		s.count("finished", row.Finished)
		s.count("with log-probabilities", len(row.LogProbs) > 0)
		s.value("version", fmt.Sprint(row.Version))
		s.value("temperature", fmt.Sprint(row.Temperature))
		if len(row.LogProbs) > 0 {
			sum := 0.0
			for _, p := range row.LogProbs {
				sum += float64(p)
			}
			s.number("mean log-probability", sum/float64(len(row.LogProbs)))
		}
		for _, score := range []struct {
			name  string
			value *float64
		}{{"helpfulness", row.Helpfulness}, {"safety", row.Safety}, {"combined", row.Combined}} {
			if score.value != nil {
				s.number(score.name, *score.value)
			}
		}
	}
}

func (s *stats) report() statsReport {
	r := statsReport{Form: s.form.String(), Rows: s.rows, Counts: s.counts, Values: s.values}
	for _, n := range s.numbers {
		r.Numbers = append(r.Numbers, distribution(n.name, n.all))
	}
	for _, table := range r.Values {
		slices.SortStableFunc(table.Values, func(a, b namedCount) int { return b.Rows - a.Rows })
	}
	return r
}

// distribution leaves out what is no finite number.
func distribution(name string, all []float64) numbers {
	all = slices.DeleteFunc(all, func(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) })
	slices.Sort(all)
	n := numbers{Name: name, Rows: len(all)}
	if len(all) == 0 {
		return n
	}
	rank := func(share float64) float64 { return all[max(0, int(math.Ceil(share*float64(len(all))))-1)] }
	for _, x := range all {
		n.Sum += x
	}
	n.Min, n.Median, n.P95, n.Max, n.Mean = all[0], rank(0.5), rank(0.95), all[len(all)-1], n.Sum/float64(len(all))
	return n
}

func (r statsReport) print(w io.Writer, path string) error {
	fmt.Fprintf(w, "%s: %d rows of %s\n", path, r.Rows, r.Form)
	for _, c := range r.Counts {
		fmt.Fprintf(w, "%9d  %7s  %s\n", c.Rows, percent(c.Rows, r.Rows), c.Name)
	}
	if len(r.Numbers) > 0 {
		fmt.Fprintln(w)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(t, "min\tmedian\tmean\t95 %\tmax\tsum\t")
		for _, n := range r.Numbers {
			fmt.Fprintf(t, "%.5g\t%.5g\t%.5g\t%.5g\t%.5g\t%s\t  %s\n", n.Min, n.Median, n.Mean, n.P95, n.Max, total(n.Sum), n.Name)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	for _, table := range r.Values {
		fmt.Fprintf(w, "\n%s\n", table.Column)
		const most = 12
		shown := table.Values[:min(most, len(table.Values))]
		rest := r.Rows
		for _, v := range shown {
			fmt.Fprintf(w, "%9d  %7s  %s\n", v.Rows, percent(v.Rows, r.Rows), printable.Text(v.Name))
			rest -= v.Rows
		}
		if rest > 0 {
			fmt.Fprintf(w, "%9d  %7s  others\n", rest, percent(rest, r.Rows))
		}
	}
	return nil
}

// total is a sum for people: a whole number of characters, tokens or turns.
func total(x float64) string {
	if x == math.Trunc(x) && math.Abs(x) < 1e15 {
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprintf("%.5g", x)
}
