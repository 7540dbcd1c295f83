// Package console shows the progress of long work: a bar with the time left on a terminal, plain lines elsewhere.
package console

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"golang.org/x/term"
)

// Console writes to one place. Its methods are for one goroutine.
type Console struct {
	out  io.Writer
	bars progress.Writer // nil where out is not a terminal
}

// New looks whether out is a terminal.
func New(out io.Writer) *Console {
	c := &Console{out: out}
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return c
	}
	c.bars = progress.NewWriter()
	c.bars.SetOutputWriter(out)
	c.bars.SetAutoStop(false)
	c.bars.SetTrackerLength(20)
	c.bars.SetMessageLength(46)
	c.bars.SetTrackerPosition(progress.PositionRight)
	c.bars.SetUpdateFrequency(200 * time.Millisecond)
	c.bars.Style().Visibility.ETA = true
	c.bars.Style().Visibility.Value = true
	c.bars.Style().Options.TimeInProgressPrecision = 100 * time.Millisecond
	go c.bars.Render()
	return c
}

// Close leaves the terminal as it was. It may be called again.
func (c *Console) Close() {
	if c.bars == nil {
		return
	}
	time.Sleep(250 * time.Millisecond) // one more frame
	c.bars.Stop()
	for c.bars.IsRenderInProgress() {
		time.Sleep(10 * time.Millisecond)
	}
	c.bars = nil
}

// Printf writes lines, above the bars on a terminal.
func (c *Console) Printf(format string, args ...any) {
	if c.bars != nil {
		c.bars.Log(format, args...)
		return
	}
	fmt.Fprintf(c.out, format+"\n", args...)
}

// Task is one stretch of work of known size.
type Task struct {
	console *Console
	name    string
	total   int
	before  int // done in an earlier run: the time left is not told by it
	start   time.Time
	printed time.Time
	bar     *progress.Tracker
}

// Start shows a task.
func (c *Console) Start(name string, total int) *Task { return c.GoOn(name, 0, total) }

// GoOn shows a task of which a part was done in an earlier run.
func (c *Console) GoOn(name string, before, total int) *Task {
	now := time.Now()
	t := &Task{console: c, name: name, total: total, before: before, start: now, printed: now}
	if c.bars != nil {
		t.bar = &progress.Tracker{Message: name, Total: int64(total - before), AutoStopDisabled: true}
		c.bars.AppendTracker(t.bar)
	}
	return t
}

// plainInterval is how often a task prints a line where there is no terminal.
const plainInterval = 15 * time.Second

// Update says how much is done, that of an earlier run included, and what there is to tell.
func (t *Task) Update(done int, detail string) {
	now, since := time.Now(), done-t.before
	if t.bar != nil {
		if t.before > 0 {
			detail = fmt.Sprintf("%d/%d  %s", done, t.total, detail)
		}
		t.bar.UpdateMessage(t.name + "  " + detail)
		t.bar.SetValue(int64(since))
		return
	}
	if now.Sub(t.printed) < plainInterval || since <= 0 {
		return
	}
	t.printed = now
	left := time.Duration(float64(now.Sub(t.start)) / float64(since) * float64(t.total-done))
	t.console.Printf("%-24s %5d/%d  %v left  %s", t.name, done, t.total, left.Round(time.Second), detail)
}

// Done ends the task and gives the time it took.
func (t *Task) Done(detail string) time.Duration {
	took := time.Since(t.start)
	if t.bar != nil {
		t.bar.UpdateMessage(t.name + "  " + detail)
		t.bar.SetValue(int64(t.total - t.before))
		t.bar.MarkAsDone()
		return took
	}
	t.console.Printf("%-24s done in %v  %s", t.name, took.Round(100*time.Millisecond), detail)
	return took
}
