package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	case err != nil && ctx.Err() != nil && !isDiskError(err):
		return &stoppedError{again: again, kept: r.output.begun()}
	case err == nil || !isDiskError(err):
		return err
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = errors.New(err.Error()) // that Ctrl-C came too is not the reason
	}
	if done, _ := exists(r.output.dir); done {
		return err
	}
	if !r.output.begun() {
		return fmt.Errorf("%w\nnothing is kept; start again with: %s", err, again)
	}
	return fmt.Errorf("%w\n%s is kept; resume it with: %s", err, r.output.checkpoint, again)
}

// isDiskError says whether a file could not be written (or read) for a reason that has nothing to do with the run.
func isDiskError(err error) bool {
	return slices.ContainsFunc([]error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, syscall.EIO, syscall.EROFS},
		func(reason error) bool { return errors.Is(err, reason) })
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
