package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

// smallDisk mounts a file system of the memory, of so many bytes, at the try's folder. unmount has to be called.
func (t *try) smallDisk(size int64) (unmount func(), err error) {
	out, err := exec.Command("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%d,nr_inodes=0", size), "tame-faults", t.dir).CombinedOutput()
	if err != nil {
		return nil, &skipped{fmt.Sprintf("no small disk: mount: %v: %s", err, strings.TrimSpace(string(out)))}
	}
	return func() { _ = exec.Command("umount", t.dir).Run() }, nil
}

// fill leaves so many bytes of a disk of size bytes, free on the whole.
func (t *try) fill(size, free int64) (ballast string, err error) {
	ballast = filepath.Join(t.dir, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		return "", err
	}
	block := make([]byte, 4096)
	for written := int64(0); written < size-free; written += int64(len(block)) {
		if _, err := f.Write(block); err != nil {
			break // full by its own records
		}
	}
	return ballast, f.Close()
}

// full are the words of the systems for it.
var full = regexp.MustCompile(`no space left on device|disk quota exceeded`)

// onFullDisk runs a command in the try's folder on a disk of which so much is free as the level of the try says, of what is needed, and
// looks at how it ended. Then there is room, and it is done again.
func (t *try) onFullDisk(ctx context.Context, ref *reference, needed int64, c command, look func(e ended) error, again func() error) error {
	size := 4*ref.size + 1<<20
	unmount, err := t.smallDisk(size)
	if err != nil {
		return err
	}
	defer unmount()
	ballast, err := t.fill(size, t.level(needed))
	if err != nil {
		return err
	}
	e, err := t.start(ctx, c)
	if err != nil {
		return err
	}
	if e.broken != nil {
		return e.broken
	}
	if err := look(e); err != nil {
		return err
	}
	if err := os.Remove(ballast); err != nil {
		return err
	}
	return again()
}

// level is how much of a disk stays free in this try, of what is needed.
func (t *try) level(needed int64) int64 {
	return needed * int64(t.number+1) / int64(max(t.Levels, 1))
}

// fillDisk runs a stage on a disk that becomes full, and stops it every second time with Ctrl-C. The error tells so, and with room the run
// goes on to the same files.
func fillDisk(ctx context.Context, t *try) error {
	ref, err := t.stageReference(ctx)
	if err != nil {
		return err
	}
	c := command{dir: t.dir, args: t.resume()}
	if t.number%2 == 1 {
		c.args, c.signal, c.after = t.resume("--set", never), syscall.SIGINT, t.moment(ref.quick)
	}
	return t.onFullDisk(ctx, ref, 2*ref.size, c, func(e ended) error { return t.fullDiskIsTold(e, ref) },
		func() error { return t.finish(ctx, ref, 1) })
}

func (t *try) fullDiskIsTold(e ended, ref *reference) error {
	told, steps, saved := full.MatchString(e.output), t.steps(), t.savedStep()
	if _, err := t.wholeOrAbsent([]string{stageOutput}, ref.tree); err != nil {
		return err
	}
	switch {
	case e.status == 0:
		t.how = "enough room"
		return nil
	case e.status == 128+int(syscall.SIGINT) && !told:
		t.how = "stopped and saved"
		if saved >= 0 && saved < steps && t.subject != "ppo" {
			return failf("stopped after step %d, saved is step %d, and no error says so: %s", steps, saved, e.summary())
		}
		return nil
	case !told:
		return failf("the error does not say that the disk is full: %s", e.summary())
	}
	t.how = "told"
	return nil
}

// fillDiskOfTool runs a tool on a disk that becomes full. With room the same command makes what is missing.
func fillDiskOfTool(ctx context.Context, t *try) error {
	ref, err := t.toolReference(ctx)
	if err != nil {
		return err
	}
	tool, there := t.tools[t.subject], 0
	args := tool.with(tool.inputs[0])
	look := func(e ended) (err error) {
		there, err = t.wholeOrAbsent(tool.outputs, ref.tree)
		switch {
		case err != nil:
			return err
		case e.status == 0 && there < len(tool.outputs):
			return failf("status 0 with %d of %d outputs", there, len(tool.outputs))
		case e.status == 0:
			t.how = "enough room"
		case !full.MatchString(e.output):
			return failf("the error does not say that the disk is full: %s", e.summary())
		default:
			t.how = "told"
		}
		return nil
	}
	return t.onFullDisk(ctx, ref, ref.size+ref.size/5, command{dir: t.dir, args: args}, look,
		func() error { return t.again(ctx, ref, args, there) })
}
