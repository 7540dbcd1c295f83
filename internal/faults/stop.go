package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// never is a setting: nothing is saved but what a stopped run saves by itself.
const never = "checkpoint_every=1000000"

// stopStage asks a stage to end, as a job's scheduler does, and looks whether it saved what it had done.
func stopStage(ctx context.Context, t *try) error {
	ref, err := t.stageReference(ctx)
	if err != nil {
		return err
	}
	signal := t.signal()
	c := command{dir: t.dir, args: t.resume("--set", never), signal: signal, after: t.moment(ref.quick)}
	if t.number%4 != 3 && ref.logLines > 1 { // not while it starts, when nothing is there to be lost
		lines := 1 + t.rng.IntN(ref.logLines-1)>>t.missed
		c.after, c.when = 0, func() bool { return logLines(t.dir) >= lines }
	}
	e, err := t.start(ctx, c)
	switch {
	case err != nil:
		return err
	case e.broken != nil:
		return e.broken
	case e.status == 0:
		t.how = tooLate
		return t.same(ref.tree)
	}
	if err := t.stopped(e, signal); err != nil {
		return err
	}
	if _, err := t.wholeOrAbsent([]string{stageOutput}, ref.tree); err != nil {
		return err
	}
	return t.finish(ctx, ref, 1)
}

// stopped checks what a stage that was stopped says and saved.
func (t *try) stopped(e ended, signal syscall.Signal) error {
	if e.status != 128+int(signal) {
		return failf("stopped by %v, want status %d: %s", signal, 128+int(signal), e.summary())
	}
	steps, saved := t.steps(), t.savedStep()
	begun := exists(filepath.Join(t.dir, stageOutput+".checkpoint"))
	switch {
	case e.killer != 0 && steps > 0:
		return failf("ended by %v after %d steps without saving", signal, steps)
	case e.killer != 0:
		t.how = "at once"
	case steps > 0 && !begun:
		return failf("stopped after %d steps, and nothing is saved: %s", steps, e.summary())
	case saved >= 0 && saved < steps && t.subject != "ppo": // an iteration of PPO has several steps
		return failf("stopped after step %d, but saved is step %d: %s", steps, saved, e.summary())
	default:
		t.how = "saved"
	}
	return nil
}

// steps counts the steps in the log, of its last stage.
func (t *try) steps() int {
	raw, _ := os.ReadFile(filepath.Join(t.dir, stageLog))
	last := 0
	for line := range bytes.Lines(raw) {
		var said struct{ Step int }
		if json.Unmarshal(line, &said) == nil {
			last = said.Step
		}
	}
	return last
}

// savedStep is the step of the one state in the checkpoint, -1 if there is none, or are several.
func (t *try) savedStep() int {
	step, states := -1, 0
	_ = filepath.WalkDir(filepath.Join(t.dir, stageOutput+".checkpoint"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Name() != "state.json" {
			return nil //nolint:nilerr // what is not there has no step
		}
		var state struct{ Step *int }
		raw, err := os.ReadFile(path)
		if err == nil && json.Unmarshal(raw, &state) == nil && state.Step != nil {
			step = *state.Step
			states++
		}
		return nil
	})
	if states != 1 {
		return -1
	}
	return step
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// stopTool asks a tool to end. It leaves nothing, or all of its outputs, and starts again.
func stopTool(ctx context.Context, t *try) error {
	ref, err := t.toolReference(ctx)
	if err != nil {
		return err
	}
	tool, signal := t.tools[t.subject], t.signal()
	c := command{dir: t.dir, args: tool.with(tool.inputs[0]), signal: signal, after: t.moment(ref.end.took)}
	e, err := t.start(ctx, c)
	if err != nil {
		return err
	}
	there, err := t.wholeOrAbsent(tool.outputs, ref.tree)
	switch {
	case err != nil:
		return err
	case e.broken != nil:
		return e.broken
	case e.status == 0:
		t.how = tooLate
		return t.same(ref.tree)
	case e.status != 128+int(signal):
		return failf("stopped by %v, want status %d: %s", signal, 128+int(signal), e.summary())
	}
	if t.how = "stopped"; e.killer != 0 {
		t.how = "at once"
	} else if there == 0 {
		if err := t.same(tree{".": "folder"}); err != nil {
			return err
		}
	}
	return t.again(ctx, ref, c.args, there)
}

// signal is that of the try: most schedulers send SIGTERM.
func (t *try) signal() syscall.Signal {
	return []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGTERM}[t.number%4]
}

// waiting are commands that read standard input, to which nothing comes.
var waiting = map[string][]string{
	"tokenize":     {"tokenize", "--tokenizer", "IN:base/tokenizer.model"},
	"generate":     {"generate", "--model", "IN:base"},
	"score":        {"score", "--model", "IN:safety"},
	"logprobs":     {"logprobs", "--model", "IN:base"},
	"chat":         {"chat", "--model", "IN:chat"},
	"convert-data": {"convert", "data", "-", "out.arrow"},
	"tokenizer":    {"tokenizer", "train", "--vocab-size", "300", "-", "out.model"},
}

// stopWaiting asks a command to end that waits for its input.
func stopWaiting(ctx context.Context, t *try) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	defer w.Close()
	c := command{dir: t.dir, args: t.place(waiting[t.subject], ""), stdin: r, signal: t.signal(), after: 500 * time.Millisecond, limit: 5 * time.Second}
	e, err := t.start(ctx, c)
	switch {
	case err != nil:
		return err
	case e.broken != nil:
		return failf("after %v it %v", c.signal, e.broken)
	case e.status != 128+int(c.signal):
		return failf("stopped by %v, want status %d: %s", c.signal, 128+int(c.signal), e.summary())
	}
	return t.same(tree{".": "folder"})
}
