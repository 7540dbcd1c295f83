// Package console shows the progress of long work: a line with a bar and the time left on a terminal, plain lines elsewhere.
package console

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/tame-rlhf/tame/internal/printable"
)

const (
	frameInterval = 200 * time.Millisecond
	plainInterval = 15 * time.Second // of the lines of a task where there is no terminal
	// patience is how long a phase lasts before it is told where there is no terminal, and before the time that it took is told on one:
	// commands that end at once say nothing more than what came out.
	patience = 500 * time.Millisecond
)

// Console writes to one place. On a terminal its last line is alive: it shows the task or phase that goes on. Everybody else who
// writes to the same terminal calls Close before.
type Console struct {
	out  io.Writer
	size func() int // columns of the terminal; nil where there is none
	stop chan struct{}
	done sync.WaitGroup

	mu   sync.Mutex
	task *Task // that goes on
}

// New looks whether out is a terminal.
func New(out io.Writer) *Console {
	c := &Console{out: out, stop: make(chan struct{})}
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) && os.Getenv("TERM") != "dumb" {
		c.size = func() int {
			columns, _, err := term.GetSize(int(file.Fd()))
			if err != nil || columns == 0 { // a terminal that does not say
				return 80
			}
			return columns
		}
	}
	c.done.Go(c.refresh)
	return c
}

// refresh draws the living line again and again: the time goes on, and the window may have another width.
func (c *Console) refresh() {
	frames := time.NewTicker(frameInterval)
	defer frames.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-frames.C:
			c.mu.Lock()
			c.show()
			c.mu.Unlock()
		}
	}
}

// Close ends the display. What had not ended stays as it was. It may be called again.
func (c *Console) Close() {
	c.mu.Lock()
	open := c.stop != nil
	if open {
		close(c.stop)
		c.leave()
	}
	c.mu.Unlock()
	c.done.Wait()
	c.stop = nil
}

// leave ends the living line: a phase vanishes or tells the time it took, of a task that did not get to its end the last state stays.
func (c *Console) leave() {
	t := c.task
	if t == nil {
		return
	}
	c.task = nil
	switch took := time.Since(t.start); {
	case c.size == nil:
	case t.phase && took < patience:
		c.erase()
	case t.phase:
		c.erase()
		fmt.Fprintf(c.out, "%s: %v\n", t.name, took.Round(100*time.Millisecond))
	default:
		fmt.Fprint(c.out, "\r\x1b[K"+t.frame(c.size()-1, time.Now())+"\n")
	}
}

func (c *Console) erase() { fmt.Fprint(c.out, "\r\x1b[K") }

// show draws the living line, or tells of a phase that takes long.
func (c *Console) show() {
	t := c.task
	switch {
	case t == nil:
	case c.size != nil: // the last column stays free: a terminal that is at its end goes to the next line, or does not
		fmt.Fprint(c.out, "\r\x1b[K"+t.frame(c.size()-1, time.Now()))
	case t.phase && t.printed.IsZero() && time.Since(t.start) >= patience:
		t.printed = time.Now()
		fmt.Fprintf(c.out, "%s\n", t.name)
	}
}

// Printf writes lines, above the living one.
func (c *Console) Printf(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.printf(format, args...)
}

func (c *Console) printf(format string, args ...any) {
	text := printable.Text(fmt.Sprintf(format, args...))
	if c.size != nil && c.task != nil {
		c.erase()
	}
	fmt.Fprintln(c.out, strings.TrimRight(text, " "))
	if c.size != nil {
		c.show()
	}
}

// Phase says what goes on until the next phase, task or Close: work whose size is not known.
func (c *Console) Phase(format string, args ...any) *Task {
	return c.begin(&Task{name: fmt.Sprintf(format, args...), phase: true})
}

// Start shows a task of known size.
func (c *Console) Start(name string, total int) *Task { return c.GoOn(name, 0, total) }

// GoOn shows a task of which a part was done in an earlier run.
func (c *Console) GoOn(name string, before, total int) *Task {
	return c.begin(&Task{name: name, done: before, total: total, before: before})
}

func (c *Console) begin(t *Task) *Task {
	c.mu.Lock()
	defer c.mu.Unlock()
	t.console, t.name, t.start = c, printable.Line(t.name), time.Now()
	if c.task != nil && c.task.name == t.name { // whose size is known now
		t.start = c.task.start
	} else {
		c.leave()
	}
	c.task = t
	if c.size == nil && !t.phase {
		t.printed = t.start
		c.printf("%-24s %5d/%d", t.name, t.done, t.total)
	}
	c.show()
	return t
}
