package main

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/tame-rlhf/tame/internal/each"
	"github.com/tame-rlhf/tame/internal/output"
	"github.com/tame-rlhf/tame/internal/printable"
	"github.com/tame-rlhf/tame/pkg/importer"
)

// conversionReport is what `tame convert data --report` writes.
type conversionReport struct {
	Files         []fileReport   `json:"files"`
	Output        string         `json:"output"` // empty if none was written
	RowsIn        int            `json:"rows_in"`
	RowsOut       int            `json:"rows_out"`
	Refused       int            `json:"refused"`
	Skipped       int            `json:"skipped"`
	Reasons       []reasonReport `json:"reasons"`
	UnusedKeys    []unusedReport `json:"unused_keys"`
	SpecialTokens map[string]int `json:"special_tokens"` // rows that have each
}

type fileReport struct {
	File    string `json:"file"`
	Dialect string `json:"dialect"`
	Fitting int    `json:"fitting_rows"` // of those that were looked at to recognise it
	Sampled int    `json:"sampled_rows"`
}

type reasonReport struct {
	Reason  string `json:"reason"`
	Skipped bool   `json:"skipped"`
	Rows    int    `json:"rows"`
}

type unusedReport struct {
	Key   string `json:"key"`
	Label bool   `json:"label"` // known to say only where a row is from or what it is about
	Rows  int    `json:"rows"`
}

func (c dataConversion) writeReport(set *output.Set, im *importer.Import, out string, failed error) error {
	if c.report == "" {
		return nil
	}
	r := im.Report()
	report := conversionReport{
		Files:  each.Of(im.Files(), func(f importer.FileDialect) fileReport { return fileReport(f) }),
		Output: out, RowsIn: r.Read, RowsOut: r.Rows, Refused: r.NumRefused(), Skipped: r.Skipped,
		Reasons:       each.Of(r.Reasons(), func(r importer.ReasonCount) reasonReport { return reasonReport{r.Text, r.Skipped, r.Rows} }),
		UnusedKeys:    each.Of(r.Unused(), func(u importer.UnusedCount) unusedReport { return unusedReport{u.Key, u.Label, u.Rows} }),
		SpecialTokens: r.SpecialTokens(),
	}
	if failed != nil {
		report.Output, report.RowsOut = "", 0
	}
	if report.SpecialTokens == nil {
		report.SpecialTokens = map[string]int{}
	}
	return set.WriteFile(c.report, func(w *bufio.Writer) error { return printJSON(w, report) })
}

// printImport shows the counts, the first refused rows, how many there are for each reason, and what of the rows was not used.
func printImport(w io.Writer, report importer.Report) {
	const most = 10
	fmt.Fprintf(w, "%d rows read: %d rows taken, %d refused", report.Read, report.Rows, report.NumRefused())
	if report.Skipped > 0 {
		fmt.Fprintf(w, ", %d skipped", report.Skipped)
	}
	fmt.Fprintln(w)
	for _, refused := range report.Refused[:min(most, len(report.Refused))] {
		fmt.Fprintf(w, "  %s\n", printable.Text(refused.Error()))
	}
	if rest := report.NumRefused() - most; rest > 0 {
		fmt.Fprintf(w, "  and %d more\n", rest)
	}
	if reasons := report.Reasons(); len(reasons) > 0 {
		fmt.Fprintf(w, "%8s  reason\n", "rows")
		for _, r := range reasons {
			what := "refused"
			if r.Skipped {
				what = "skipped"
			}
			fmt.Fprintf(w, "%8d  %s: %s\n", r.Rows, what, printable.Text(r.Text))
		}
	}
	if unused := report.Unused(); len(unused) > 0 {
		fmt.Fprintf(w, "%8s  key that was not used\n", "rows")
		for _, u := range unused {
			key := u.Key
			if strings.TrimSpace(key) == "" {
				key = fmt.Sprintf("%q (a column without a name)", key)
			}
			switch {
			case u.Label:
				key += " (a label)"
			case u.Hint != "":
				key += " (" + u.Hint + ")"
			}
			fmt.Fprintf(w, "%8d  %s\n", u.Rows, printable.Text(key))
		}
	}
	printSpecialTokens(w, report.SpecialTokens())
}

// printSpecialTokens says which marks of chat formats are in texts, as convert and validate do.
func printSpecialTokens(w io.Writer, rows map[string]int) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(w, "%8s  special token of a chat format that is text here: it is learned as letters\n", "rows")
	for _, token := range slices.Sorted(maps.Keys(rows)) {
		fmt.Fprintf(w, "%8d  %s\n", rows[token], token)
	}
}
