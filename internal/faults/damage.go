package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

// checkpoint is a copy of a stopped run's folder, and the files in it that can be damaged.
type checkpoint struct {
	dir   string
	files []string
}

// stoppedRun stops a stage in the middle, once for all tries of the subject.
func (t *try) stoppedRun(ctx context.Context, ref *reference) (*checkpoint, error) {
	t.lock.Lock()
	defer t.lock.Unlock()
	if c := t.corrupt[t.subject]; c != nil {
		return c, nil
	}
	dir, err := t.fresh("checkpoint")
	if err != nil {
		return nil, err
	}
	half := max(ref.logLines/2, 1)
	e, err := t.start(ctx, command{
		dir: dir, args: t.stages[t.subject].args, signal: syscall.SIGINT,
		when: func() bool { return logLines(dir) >= half },
	})
	if err != nil {
		return nil, err
	}
	c := &checkpoint{dir: dir}
	root := filepath.Join(dir, stageOutput+".checkpoint")
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		c.files = append(c.files, name)
		return err
	})
	if err != nil || len(c.files) == 0 {
		return nil, fmt.Errorf("no checkpoint to damage: %w: %s", err, e.summary())
	}
	t.corrupt[t.subject] = c
	return c, nil
}

// logLines counts the lines of a stage's log.
func logLines(dir string) int {
	raw, _ := os.ReadFile(filepath.Join(dir, stageLog))
	return strings.Count(string(raw), "\n")
}

// flipCheckpoint flips a bit of a checkpoint's file, cutCheckpoint cuts one off. The run that resumes refuses the file, or does not need it.
func flipCheckpoint(ctx context.Context, t *try) error { return t.damageCheckpoint(ctx, flip) }
func cutCheckpoint(ctx context.Context, t *try) error  { return t.damageCheckpoint(ctx, cut) }

func (t *try) damageCheckpoint(ctx context.Context, damage func(t *try, path string) (string, error)) error {
	ref, err := t.stageReference(ctx)
	if err != nil {
		return err
	}
	c, err := t.stoppedRun(ctx, ref)
	if err != nil {
		return err
	}
	if err := os.CopyFS(t.dir, os.DirFS(c.dir)); err != nil {
		return err
	}
	name := c.files[t.number%len(c.files)] // every file has its turn
	what, err := damage(t, filepath.Join(t.dir, name))
	if err != nil {
		return err
	}
	e, err := t.start(ctx, command{dir: t.dir, args: t.resume()})
	switch {
	case err != nil:
		return err
	case e.broken != nil:
		return failf("%s of %s: %v", what, name, e.broken)
	case e.status == 0:
		t.how = "equal"
		if err := t.same(ref.tree); err != nil {
			return failf("%s of %s is not seen: %v", what, name, err)
		}
		return nil
	case !namesFile(e.output, name):
		return failf("%s of %s: the refusal does not name the file: %s", what, name, e.summary())
	}
	t.how = "refused"
	return nil
}

// namesFile says whether a message names a file, by the last two parts of its path or fewer.
func namesFile(output, name string) bool {
	return regexp.MustCompile(`(^|[\s/"':])` + regexp.QuoteMeta(filepath.Base(name)) + `([\s"',:;)]|$)`).MatchString(output)
}

// flip flips one bit.
func flip(t *try, path string) (what string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Size() == 0 {
		return "nothing", nil
	}
	at, bit := t.rng.Int64N(info.Size()), t.rng.IntN(8)
	err = edit(path, at, func(b []byte) { b[0] ^= 1 << bit })
	return fmt.Sprintf("flipped bit %d of byte %d", bit, at), err
}

// edit changes one byte of a file.
func edit(path string, at int64, change func(b []byte)) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil && err != io.EOF {
		return err
	}
	change(b)
	if _, err := f.WriteAt(b, at); err != nil {
		return err
	}
	return f.Close()
}

// cut shortens a file: to any size, to nothing, or by its last byte.
func cut(t *try, path string) (what string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	size := slices.Max([]int64{info.Size() - 1, 0})
	switch t.rng.IntN(4) {
	case 0:
		size = 0
	case 1, 2:
		size = t.rng.Int64N(info.Size() + 1)
	}
	return fmt.Sprintf("a cut at byte %d of %d", size, info.Size()), os.Truncate(path, size)
}
