package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"
)

// stageReference runs a stage whole.
func (t *try) stageReference(ctx context.Context) (*reference, error) {
	return t.wholeRun(ctx, t.stages[t.subject].args, "--set", never)
}

// wholeRun runs a command that has to succeed in a folder of its own, and once more with other arguments if there are some.
func (t *try) wholeRun(ctx context.Context, args []string, more ...string) (*reference, error) {
	return t.reference(func() (*reference, error) {
		dir, err := t.fresh("reference")
		if err != nil {
			return nil, err
		}
		e, err := t.start(ctx, command{dir: dir, args: args})
		if err != nil {
			return nil, err
		}
		if e.status != 0 || e.broken != nil {
			return nil, fmt.Errorf("a run that is left alone fails: %s", e.summary())
		}
		ref, err := newReference(dir, e)
		if err != nil || len(more) == 0 {
			return ref, err
		}
		if dir, err = t.fresh("quick"); err != nil {
			return nil, err
		}
		e, err = t.start(ctx, command{dir: dir, args: slices.Concat(args, more)})
		ref.quick = e.took
		return ref, err
	})
}

// resume are the arguments of a stage that goes on if there is something to go on from.
func (t *try) resume(more ...string) []string {
	return append(slices.Clone(t.stages[t.subject].args), append(more, "--resume")...)
}

// killStage kills a stage one to three times at random moments, starts it again each time, and compares what it ends in.
func killStage(ctx context.Context, t *try) error {
	ref, err := t.stageReference(ctx)
	if err != nil {
		return err
	}
	killed := 0
	for range 1 + t.rng.IntN(3) {
		e, err := t.start(ctx, command{dir: t.dir, args: t.resume(), signal: syscall.SIGKILL, after: t.moment(ref.end.took)})
		if err != nil {
			return err
		}
		if e.broken != nil {
			return e.broken
		}
		if e.killer != syscall.SIGKILL {
			if e.status != 0 {
				return failf("after %d kills, resuming fails: %s", killed, e.summary())
			}
			break
		}
		killed++
		if _, err := t.wholeOrAbsent([]string{stageOutput}, ref.tree); err != nil {
			return err
		}
	}
	if t.how = fmt.Sprintf("killed %d times", killed); killed == 0 {
		t.how = tooLate
	}
	return t.finish(ctx, ref, killed)
}

// finish resumes a stage without another fault, and compares.
func (t *try) finish(ctx context.Context, ref *reference, faults int, more ...string) error {
	e, err := t.start(ctx, command{dir: t.dir, args: t.resume(more...)})
	switch {
	case err != nil:
		return err
	case e.broken != nil:
		return e.broken
	case e.status != 0:
		return failf("after %d faults, resuming fails: %s", faults, e.summary())
	}
	return t.same(ref.tree)
}

// moment is a random one of a run that takes so long, an earlier one if a try was too late.
func (t *try) moment(took time.Duration) time.Duration {
	return time.Duration(t.rng.Float64()*0.9*float64(took)) >> t.missed
}

// toolReference runs a tool whole.
func (t *try) toolReference(ctx context.Context) (*reference, error) {
	tool := t.tools[t.subject]
	return t.wholeRun(ctx, tool.with(tool.inputs[0]))
}

// killTool kills a tool at a random moment. Nothing half-made has the name of an output, and the same command then makes all of it.
func killTool(ctx context.Context, t *try) error {
	ref, err := t.toolReference(ctx)
	if err != nil {
		return err
	}
	tool := t.tools[t.subject]
	c := command{dir: t.dir, args: tool.with(tool.inputs[0]), signal: syscall.SIGKILL, after: t.moment(ref.end.took)}
	e, err := t.start(ctx, c)
	if err != nil {
		return err
	}
	if e.broken != nil {
		return e.broken
	}
	there, err := t.wholeOrAbsent(tool.outputs, ref.tree)
	if err != nil {
		return err
	}
	if e.killer != syscall.SIGKILL {
		t.how = tooLate
		return t.same(ref.tree)
	}
	t.how = "killed"
	return t.again(ctx, ref, c.args, there)
}

// again starts a tool once more after a fault that left so many outputs. If one is there the command finishes what was begun, and refuses
// to make it again.
func (t *try) again(ctx context.Context, ref *reference, args []string, there int) error {
	e, err := t.start(ctx, command{dir: t.dir, args: args})
	switch {
	case err != nil:
		return err
	case e.broken != nil:
		return e.broken
	case e.status != 0 && !strings.Contains(e.output, "already exists"): // else all has to be there, see below
		return failf("with %d of %d outputs, the same command fails: %s", there, len(t.tools[t.subject].outputs), e.summary())
	}
	return t.same(ref.tree)
}
