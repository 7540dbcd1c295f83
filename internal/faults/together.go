package main

import (
	"context"
	"errors"
	"strings"
	"time"
)

// both starts two commands in the try's folder, within a quarter of the time that one takes.
func (t *try) both(ctx context.Context, took time.Duration, args [2][]string) (ends [2]ended, err error) {
	var errs [2]error
	done := make(chan int)
	for i := range ends {
		pause := t.moment(took / 4)
		go func() {
			time.Sleep(pause)
			ends[i], errs[i] = t.start(ctx, command{dir: t.dir, args: args[i]})
			done <- i
		}()
	}
	<-done
	<-done
	return ends, errors.Join(errs[0], errs[1], ends[0].broken, ends[1].broken)
}

// runTogether starts two processes with different inputs and one output. One of them makes it, the other one says that it cannot.
func runTogether(ctx context.Context, t *try) error {
	ref, err := t.toolReference(ctx)
	if err != nil {
		return err
	}
	tool := t.tools[t.subject]
	ends, err := t.both(ctx, ref.end.took, [2][]string{tool.with(tool.inputs[0]), tool.with(tool.inputs[1])})
	if err != nil {
		return err
	}
	var winners []string
	for i, e := range ends {
		if e.status == 0 {
			winners = append(winners, tool.inputs[i])
		}
	}
	if len(winners) != 1 {
		return failf("%d of 2 processes say that they made %s: %s", len(winners), strings.Join(tool.outputs, " and "), ends[1].summary())
	}
	if winners[0] == tool.inputs[0] {
		t.how = "the first"
		return t.same(ref.tree)
	}
	t.how = "the second"
	dir, err := t.fresh("other")
	if err != nil {
		return err
	}
	if _, err := t.start(ctx, command{dir: dir, args: tool.with(winners[0])}); err != nil {
		return err
	}
	want, err := readTree(dir)
	if err != nil {
		return err
	}
	return t.same(want)
}

// runStageTogether starts the same stage twice. One process makes the output, the other one says that somebody does.
func runStageTogether(ctx context.Context, t *try) error {
	ref, err := t.stageReference(ctx)
	if err != nil {
		return err
	}
	ends, err := t.both(ctx, ref.end.took, [2][]string{t.resume(), t.resume()})
	if err != nil {
		return err
	}
	for i, e := range ends {
		other := ends[1-i]
		if e.status != 0 && (other.status != 0 || !strings.Contains(e.output, "another process")) {
			return failf("one of two processes fails: %s", e.summary())
		}
	}
	return t.same(ref.tree)
}
