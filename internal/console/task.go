package console

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/width"

	"github.com/tame-rlhf/tame/internal/printable"
)

// Task is one stretch of work. A phase is one whose size is not known.
type Task struct {
	console *Console
	name    string
	phase   bool
	total   int
	before  int // done in an earlier run: the time left is not told by it
	start   time.Time

	// The rest is guarded by the console.
	done    int
	detail  string
	printed time.Time
}

// Update says how much is done, that of an earlier run included, and what there is to tell.
func (t *Task) Update(done int, detail string) {
	c := t.console
	c.mu.Lock()
	defer c.mu.Unlock()
	t.done, t.detail = done, detail
	now := time.Now()
	if c.size != nil || now.Sub(t.printed) < plainInterval || t.phase && now.Sub(t.start) < plainInterval {
		return
	}
	t.printed = now
	took, left := t.times(now)
	if t.phase {
		c.printf("%-24s %s  %s", t.name, took, detail)
	} else {
		c.printf("%-24s %5d/%d  %s  %s", t.name, done, t.total, cmp.Or(left, took), detail)
	}
}

// Done ends the task and gives the time it took.
func (t *Task) Done(detail string) time.Duration {
	c := t.console
	c.mu.Lock()
	defer c.mu.Unlock()
	took := time.Since(t.start)
	if c.task == t {
		c.task = nil
		if c.size != nil {
			c.erase()
		}
	}
	c.printf("%-24s done in %v  %s", t.name, took.Round(100*time.Millisecond), detail)
	return took
}

// times are how long it took and, where it can be told, how long it will.
func (t *Task) times(now time.Time) (took, left string) {
	d := now.Sub(t.start)
	took = d.Truncate(time.Second).String()
	if since := t.done - t.before; since > 0 {
		d = time.Duration(float64(d) / float64(since) * float64(t.total-t.done))
		left = d.Round(time.Second).String() + " left"
	}
	return took, left
}

// frame is the living line, in no more than so many columns: what tells most comes first, and the end is cut off.
func (t *Task) frame(columns int, now time.Time) string {
	name := cut(t.name, max(12, columns/2))
	took, left := t.times(now)
	if t.phase {
		return withNumbers(name+"  "+took, t.detail, columns)
	}
	line := fmt.Sprintf("%s  %d/%d", name, t.done, t.total)
	if bar := min(20, columns/6); columns >= 60 {
		full := bar * t.done / max(t.total, 1)
		full = min(max(full, 0), bar)
		line += "  [" + strings.Repeat("#", full) + strings.Repeat(".", bar-full) + "]"
	}
	line += "  " + took
	if left != "" {
		line += ", " + left
	}
	return withNumbers(line, t.detail, columns)
}

// withNumbers adds as many numbers, two spaces apart, as there is room for: one that is cut off would be another number.
func withNumbers(line, detail string, columns int) string {
	for _, number := range strings.Split(strings.TrimSpace(detail), "  ") {
		if number == "" || columnsOf(line)+2+columnsOf(number) > columns {
			break
		}
		line += "  " + number
	}
	return cut(line, columns)
}

// cut is a text on one line, in no more than so many columns.
func cut(text string, columns int) string {
	text = printable.Line(text)
	used := 0
	for i, c := range text {
		if used += columnsOfRune(c); used > columns {
			return text[:i]
		}
	}
	return text
}

func columnsOf(text string) (n int) {
	for _, c := range text {
		n += columnsOfRune(c)
	}
	return n
}

// columnsOfRune is 2 for Chinese and the like, 0 for accents that stand on the letter before.
func columnsOfRune(c rune) int {
	switch kind := width.LookupRune(c).Kind(); {
	case kind == width.EastAsianWide || kind == width.EastAsianFullwidth:
		return 2
	case c == '\ufe0f': // makes a picture of the character before, which is wide then
		return 1
	case unicode.In(c, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	}
	return 1
}
