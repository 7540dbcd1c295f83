package main

import (
	"context"
	"errors"
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

// fillDisk runs a stage on a disk that becomes full, and stops it every second time with Ctrl-C. The error tells so, and with room the run
// goes on to the same files.
func fillDisk(ctx context.Context, t *try) error {
	ref, err := t.stageReference(ctx)
	if err != nil {
		return err
	}
	size := 4*ref.size + 1<<20
	unmount, err := t.smallDisk(size)
	if err != nil {
		return err
	}
	defer unmount()
	ballast, err := t.fill(size, t.level(2*ref.size))
	if err != nil {
		return err
	}
	c := command{dir: t.dir, args: t.resume()}
	if t.number%2 == 1 {
		c.args, c.signal, c.after = t.resume("--set", never), syscall.SIGINT, t.moment(ref.quick)
	}
	e, err := t.start(ctx, c)
	if err != nil {
		return err
	}
	steps, saved := t.steps(), t.savedStep()
	if err := t.fullDiskIsTold(e, ref, steps, saved); err != nil {
		return err
	}
	if err := os.Remove(ballast); err != nil {
		return err
	}
	return t.finish(ctx, ref, 1)
}

// level is how much of a disk stays free in this try, of what is needed.
func (t *try) level(needed int64) int64 {
	return needed * int64(t.number+1) / int64(max(t.Levels, 1))
}

func (t *try) fullDiskIsTold(e ended, ref *reference, steps, saved int) error {
	told := full.MatchString(e.output)
	if _, err := t.wholeOrAbsent([]string{stageOutput}, ref.tree); err != nil {
		return err
	}
	switch {
	case e.broken != nil:
		return e.broken
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

// fillDiskOfTool runs a tool on a disk that becomes full.
func fillDiskOfTool(ctx context.Context, t *try) error {
	ref, err := t.toolReference(ctx)
	if err != nil {
		return err
	}
	size := 4*ref.size + 1<<20
	unmount, err := t.smallDisk(size)
	if err != nil {
		return err
	}
	defer unmount()
	ballast, err := t.fill(size, t.level(ref.size+ref.size/5))
	if err != nil {
		return err
	}
	tool := t.tools[t.subject]
	args := tool.with(tool.inputs[0])
	e, err := t.start(ctx, command{dir: t.dir, args: args})
	if err != nil {
		return err
	}
	there, err := t.wholeOrAbsent(tool.outputs, ref.tree)
	switch {
	case err != nil:
		return err
	case e.broken != nil:
		return e.broken
	case e.status != 0 && !full.MatchString(e.output):
		return failf("the error does not say that the disk is full: %s", e.summary())
	case e.status == 0 && there < len(tool.outputs):
		return errors.Join(failf("status 0 with %d of %d outputs", there, len(tool.outputs)))
	}
	t.how = "told"
	if e.status == 0 {
		t.how = "enough room"
	}
	if err := os.Remove(ballast); err != nil {
		return err
	}
	return t.again(ctx, ref, args, there)
}
