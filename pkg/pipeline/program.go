package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"
)

// Limits of what a program may say.
const (
	longestLine  = 1 << 16 // bytes of an answer
	longestTail  = 1 << 12 // bytes of its standard error that are kept, the last ones
	waitForPipes = 2 * time.Second
)

// converse runs a program with an input and gives each line of its output to onLine, which says whether it was the last one
// that is wanted, and whose error ends the program. When the program has ended and no line is missing, what it has left
// behind is killed at once; if lines are missing, something that it has started, such as a filter of its output, has a moment to
// write them. The program is killed, with all that it started, when the context or the time limit ends. What it says of an
// error is in the error.
func converse(ctx context.Context, command []string, limit time.Duration, input []byte, onLine func(line []byte) (last bool, err error)) error {
	if limit <= 0 {
		return fmt.Errorf("%s: the time limit is %v, want a positive one", command[0], limit)
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	ctx, stop := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer to all that was asked within %v, its time limit", limit))
	defer stop()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdin, cmd.WaitDelay = bytes.NewReader(input), waitForPipes
	lines, said := &lineWriter{onLine: onLine, fail: end, complete: make(chan struct{})}, &tail{}
	kill := asGroup(cmd)
	defer endsWithThis(cmd)()
	pipes, err := startWithPipes(cmd, lines, said)
	if err != nil {
		return fmt.Errorf("%s: %w", command[0], err)
	}
	err = cmd.Wait()
	stopped := pipes.wait(ctx.Done(), lines.complete)
	kill() // what it has left behind
	pipes.close()
	ended := cmd.ProcessState != nil && cmd.ProcessState.Exited()
	switch cause := context.Cause(ctx); {
	case lines.err != nil:
		err = lines.err
	case cause != nil && (stopped || !ended):
		err = cause
	case errors.Is(err, exec.ErrWaitDelay): // it has ended well, and something that it started has not
		err = nil
	}
	if err == nil {
		err = lines.close()
	}
	if err != nil {
		return fmt.Errorf("%s: %w%s", command[0], err, said)
	}
	return nil
}

// lineWriter cuts what is written into lines, which are valid until the next one.
type lineWriter struct {
	onLine   func([]byte) (last bool, err error)
	fail     func(error)   // ends the program
	complete chan struct{} // closed after the last line that is wanted
	rest     []byte        // of a line that has no end yet
	err      error
}

func (w *lineWriter) Write(b []byte) (int, error) {
	for todo := b; w.err == nil; {
		line, rest, ended := bytes.Cut(todo, []byte("\n"))
		switch w.rest = append(w.rest, line...); {
		case len(w.rest) > longestLine:
			w.err = fmt.Errorf("a line of its output has more than %d bytes", longestLine)
		case !ended:
			return len(b), nil
		default:
			w.line()
		}
		w.rest, todo = w.rest[:0], rest
	}
	w.fail(w.err)
	return len(b), w.err
}

// line passes on a whole line.
func (w *lineWriter) line() {
	last := false
	if last, w.err = w.onLine(w.rest); last {
		close(w.complete)
	}
}

// close passes on the last line, if it has no end.
func (w *lineWriter) close() error {
	if w.err == nil && len(w.rest) > 0 {
		w.line()
	}
	return w.err
}

// tail keeps the last bytes that are written.
type tail struct {
	kept    []byte
	written int
}

func (t *tail) Write(b []byte) (int, error) {
	t.written += len(b)
	t.kept = append(t.kept, b[max(len(b)-longestTail, 0):]...)
	t.kept = t.kept[max(len(t.kept)-longestTail, 0):]
	return len(b), nil
}

// String is for the end of an error.
func (t *tail) String() string {
	text := bytes.TrimSpace(t.kept)
	switch {
	case len(text) == 0:
		return ""
	case t.written > len(t.kept):
		return fmt.Sprintf("; the last %d of %d bytes of its standard error: %s", len(t.kept), t.written, text)
	}
	return fmt.Sprintf("; its standard error: %s", text)
}
