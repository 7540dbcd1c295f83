package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tame-rlhf/tame/internal/output"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/run"
	"github.com/tame-rlhf/tame/pkg/train"
)

// stepLog writes what each step reports as JSON lines, each of which names the run. A run that resumes does some steps again: their
// lines are replaced.
type stepLog struct {
	path     string
	run      string
	file     *os.File
	recorder *train.Recorder
	newest   map[string]int // the last step of each stage in the file
	note     func(format string, args ...any)
	fail     func(error) // ends the run
	err      error
}

// logLine is what a log is continued by.
type logLine struct {
	Run   string
	Stage string
	Step  int
}

// runName is a short name of a run: the same for the same settings and inputs.
func runName(l data.Lineage) (string, error) {
	raw, err := json.Marshal(run.Of(l))
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8]), err
}

// openLog makes the file, or opens that of the same run. fail is called when a line cannot be written.
func (r *stageRun) openLog(path string, resume bool, fail func(error)) (*stepLog, error) {
	name, err := runName(r.lineage)
	if err != nil {
		return nil, err
	}
	log := &stepLog{path: path, run: name, newest: map[string]int{}, note: r.notef, fail: fail}
	mode := os.O_RDWR
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		mode |= os.O_CREATE | os.O_EXCL
	}
	file, err := os.OpenFile(path, mode|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(log.take(file), log.read(resume)); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	_ = os.Remove(log.unfinished()) // of a process that was killed while it cut
	return log, nil
}

// take writes to a file from now on, which no other process may do.
func (l *stepLog) take(file *os.File) error {
	l.file, l.recorder = file, train.NewRecorder(file)
	l.recorder.Run = l.run
	if err := output.Flock(file); errors.Is(err, output.ErrLocked) {
		return fmt.Errorf("another process is writing %s: wait for it, or give another file", l.path)
	} else if err != nil {
		return err
	}
	return nil
}

// read notes which steps the file has, cuts a line off that a killed process has not finished, and refuses the lines of others. Of a
// device it reads nothing.
func (l *stepLog) read(resume bool) error {
	info, err := l.file.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return err
	}
	if !resume {
		return fmt.Errorf("%s already exists: delete it, or give another file", l.path)
	}
	whole := int64(0)
	err = l.lines(func(n int, text []byte, line logLine, bad error) error {
		switch {
		case !bytes.HasSuffix(text, []byte("\n")) && whole > 0:
			return nil
		case bad != nil || line.Stage == "":
			return fmt.Errorf("%s:%d is not a line of a log: give another file", l.path, n)
		case line.Run != l.run:
			return fmt.Errorf("%s:%d belongs to another run (%q, this is %q): give another file", l.path, n, line.Run, l.run)
		}
		l.newest[line.Stage] = max(l.newest[line.Stage], line.Step)
		whole += int64(len(text))
		return nil
	})
	if err != nil || whole == info.Size() {
		return err
	}
	return l.file.Truncate(whole)
}

// lines calls a function with each line of the file.
func (l *stepLog) lines(each func(n int, text []byte, line logLine, bad error) error) error {
	if _, err := l.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	r := bufio.NewReader(l.file)
	for n := 1; ; n++ {
		text, err := r.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if len(text) == 0 {
			return nil
		}
		var line logLine
		bad := json.Unmarshal(text, &line)
		if err := each(n, text, line, bad); err != nil {
			return err
		}
	}
}

func (l *stepLog) write(info train.StepInfo) {
	if l.err != nil {
		return
	}
	switch newest := l.newest[info.Stage]; {
	case info.Step <= newest:
		l.err = l.cut(info.Stage, info.Step)
	case info.Step > newest+1:
		l.note("%s has no lines of %s from step %d to %d: it is not the log that this run began with", l.path, info.Stage, newest+1, info.Step-1)
	}
	if l.err == nil {
		l.recorder.OnStep(info)
		l.err = l.recorder.Err()
		l.newest[info.Stage] = info.Step
	}
	if l.err != nil {
		l.fail(l.err)
	}
}

// unfinished is where cut writes. Only one process does at a time, since it has locked the log.
func (l *stepLog) unfinished() string {
	dir, base := filepath.Split(l.path)
	return filepath.Join(dir, "."+base+".unfinished")
}

// cut removes the lines of a stage from a step on: the file is written again next to its place, which then it takes.
func (l *stepLog) cut(stage string, step int) error {
	next, err := os.OpenFile(l.unfinished(), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer next.Close()              // a second time, unless an error comes before the first
	defer os.Remove(l.unfinished()) // likewise
	w := bufio.NewWriter(next)
	err = l.lines(func(_ int, text []byte, line logLine, _ error) error {
		if line.Stage == stage && line.Step >= step {
			return nil
		}
		_, err := w.Write(text)
		return err
	})
	if err = errors.Join(err, w.Flush(), next.Sync(), next.Close()); err != nil {
		return err
	}
	if err := os.Rename(l.unfinished(), l.path); err != nil {
		return err
	}
	file, err := os.OpenFile(l.path, os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	l.file.Close()
	return l.take(file)
}

// close removes a log without a line: the run has ended before its first step, or has no steps.
func (l *stepLog) close() {
	removeEmpty(l.path)
	_ = l.file.Close()
}

func removeEmpty(path string) {
	if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() && info.Size() == 0 {
		_ = os.Remove(path)
	}
}
