package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// report is the table of what was tried.
type report struct {
	out  io.Writer
	rows []*row
}

// row is a fault on a subject.
type row struct {
	fault, subject string
	took           time.Duration

	lock            sync.Mutex
	tried, survived int
	how             map[string]int // of those that survived
	why             string         // it was skipped
	failed          int
	peak            int64
}

func (r *row) survive(t *try) {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.tried++
	r.survived++
	r.how[t.how]++
	r.peak = max(r.peak, t.peak)
}

// fail notes a failure, and gives its text.
func (r *row) fail(t *try, text string) string {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.tried++
	r.peak = max(r.peak, t.peak)
	r.failed++
	return fmt.Sprintf("%s/%s, try %d: %s\n    repeat: go run ./internal/faults %s -try %d -only '^%s/%s$'",
		t.fault, t.subject, t.number, strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    "), t.flags(), t.number, t.fault, t.subject)
}

// flags are those that a try depends on.
func (t *try) flags() string {
	return fmt.Sprintf("-seed %d -kills %d -stops %d -flips %d -cuts %d -levels %d -numbers %d -scale %g", t.Seed, t.Kills, t.Stops, t.Flips, t.Cuts,
		t.Levels, t.Numbers, t.Scale)
}

func (r *row) skip(why string) {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.why = why
}

func (r *row) skipped() bool {
	r.lock.Lock()
	defer r.lock.Unlock()
	return r.why != ""
}

// row adds a line to the table.
func (r *report) row(fault, subject string) *row {
	row := &row{fault: fault, subject: subject, how: map[string]int{}}
	r.rows = append(r.rows, row)
	return row
}

func (r *row) spent(d time.Duration) {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.took += d
}

func (r *report) tried() (n int) {
	for _, row := range r.rows {
		n += row.tried
	}
	return n
}

func (r *report) failed() (n int) {
	for _, row := range r.rows {
		n += row.failed
	}
	return n
}

func (r *report) print() {
	w := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "fault\tsubject\ttried\tsurvived\tfailed\tpeak MiB\tseconds\thow it survived")
	for _, row := range r.rows {
		how := row.summary()
		if row.why != "" {
			how = "skipped: " + row.why
		}
		peak := ""
		if row.peak > 0 {
			peak = fmt.Sprint(row.peak >> 20)
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%s\t%.1f\t%s\n", row.fault, row.subject, row.tried, row.survived, row.failed, peak, row.took.Seconds(), how)
	}
	fmt.Fprintf(w, "all\t\t%d\t%d\t%d\n", r.tried(), r.tried()-r.failed(), r.failed())
	w.Flush()
}

// summary counts the ways of surviving, as "12 equal, 3 refused".
func (r *row) summary() string {
	var parts []string
	for _, how := range slices.Sorted(maps.Keys(r.how)) {
		if how != "" {
			parts = append(parts, fmt.Sprintf("%d %s", r.how[how], how))
		}
	}
	return strings.Join(parts, ", ")
}
