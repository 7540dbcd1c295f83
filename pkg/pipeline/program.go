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

// converse runs a program with an input and gives each line of its output to onLine, whose error ends the program. It is
// killed, with all that it started, when the context or the time limit ends. What it says of an error is in the error.
func converse(ctx context.Context, command []string, limit time.Duration, input []byte, onLine func(line []byte) error) error {
	if limit <= 0 {
		return fmt.Errorf("%s: the time limit is %v, want a positive one", command[0], limit)
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	ctx, stop := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer to all that was asked within %v, its time limit", limit))
	defer stop()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	lines, said := &lineWriter{onLine: onLine, fail: end}, &tail{}
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = bytes.NewReader(input), lines, said, waitForPipes
	kill := asGroup(cmd)
	err := cmd.Run()
	kill() // what it has left behind
	ended := cmd.ProcessState != nil && cmd.ProcessState.Exited()
	switch cause := context.Cause(ctx); {
	case lines.err != nil:
		err = lines.err
	case cause != nil && !ended:
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
	onLine func([]byte) error
	fail   func(error) // ends the program
	rest   []byte      // of a line that has no end yet
	err    error
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
			w.err = w.onLine(w.rest)
		}
		w.rest, todo = w.rest[:0], rest
	}
	w.fail(w.err)
	return len(b), w.err
}

// close gives the last line, if it has no end.
func (w *lineWriter) close() error {
	if w.err == nil && len(w.rest) > 0 {
		w.err = w.onLine(w.rest)
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
