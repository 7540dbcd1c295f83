package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/tame-rlhf/tame/pkg/train"
)

// ended is the error of a run that has ended with err: the true reason, and how to resume.
func (r *stageRun) ended(ctx context.Context, err error, again string) error {
	var unsaved *train.SaveError
	lost := errors.As(err, &unsaved)
	switch {
	case r.log != nil && r.log.err != nil:
		if err = fmt.Errorf("log: %w", r.log.err); lost {
			err = errors.Join(err, unsaved)
		}
	case lost:
		err = unsaved // without a "context canceled" next to it
	case err != nil && ctx.Err() != nil && (errors.Is(err, context.Canceled) || !isFileError(err)):
		return &stoppedError{again: again, kept: r.output.begun()}
	case err == nil || !isFileError(err):
		return err
	}
	if done, _ := exists(r.output.dir); done {
		return err
	}
	if !r.output.begun() {
		return fmt.Errorf("%w\nnothing is kept; start again with: %s", err, again)
	}
	return fmt.Errorf("%w\n%s is kept; resume it with: %s", err, r.output.checkpoint, again)
}

// isFileError says whether a file could not be read or written. A pipe to a program that Ctrl-C has ended too is not one.
func isFileError(err error) bool {
	var file *fs.PathError
	return errors.As(err, &file) && !errors.Is(err, syscall.EPIPE)
}

// stoppedError says that Ctrl-C ended a stage.
type stoppedError struct {
	again string
	kept  bool // there is something to go on from
}

func (e *stoppedError) Error() string {
	if !e.kept {
		return "stopped before there was anything to keep; start again with: " + e.again
	}
	return "stopped; go on with: " + e.again
}

func (e *stoppedError) Unwrap() error { return context.Canceled }
