package main

import (
	"bufio"
	"context"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
)

// What a file may cost: twenty times its size, unpacked, and at most 1 GiB. A small file may cost memoryFloor, the needs of the program itself and of the
// tiny model that a command loads. A refusal that names a limit may have taken up to 1 GiB before.
const (
	memoryFloor = 160 << 20
	memoryMost  = 1 << 30
	memoryTimes = 20
)

// hostile is an input that was made to hurt a reader.
type hostile struct {
	file  string // its name in the try's folder; that of a folder's file is FOLDER/NAME, and the rest of the folder is that of the inputs
	write func(w *bufio.Writer, n int64) error
	// unpacked is what the text of a packed file has unpacked, in units of n, 0 for other files. It counts as the file's size: who wants such a text
	// has to hold it.
	unpacked int64
	// commands read it: FILE stands for its path, DIR for its folder, IN: for the folder of the inputs, < at the end for standard input.
	commands []string
}

// hostiles are all of them by name.
func (s *suite) hostiles() map[string]hostile {
	all := map[string]hostile{}
	for _, some := range []map[string]hostile{hostileTexts(), hostileLines(), hostileSettings(), hostileModels(), hostileTokenizers(), hostileDatasets()} {
		maps.Copy(all, some)
	}
	return all
}

// readHostile writes a hostile file and starts the commands that read such files.
func readHostile(ctx context.Context, t *try) error {
	h := t.hostiles()[t.subject]
	path := filepath.Join(t.dir, h.file)
	size, err := t.writeHostile(h, path)
	if err != nil {
		return err
	}
	refused := 0
	for _, line := range h.commands {
		c := command{dir: t.dir, args: t.commandLine(line, path)}
		if strings.HasSuffix(line, "<") {
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			c.stdin = f
		}
		t.making.RLock()
		e, err := t.start(ctx, c)
		t.making.RUnlock()
		if err != nil {
			return err
		}
		t.peak = max(t.peak, e.peak)
		if err := e.bounded(size); err != nil {
			return failf("tame %s: %v", strings.Join(c.args, " "), err)
		}
		if e.status != 0 {
			refused++
		}
		if exists(filepath.Join(t.dir, canary)) {
			return failf("tame %s: the file was executed", strings.Join(c.args, " "))
		}
		for _, out := range []string{"out", "out.arrow", "out.model"} {
			there := exists(filepath.Join(t.dir, out))
			if there && e.status != 0 {
				return failf("tame %s fails and leaves %s", strings.Join(c.args, " "), out)
			}
			if err := os.RemoveAll(filepath.Join(t.dir, out)); err != nil {
				return err
			}
		}
	}
	switch refused {
	case 0:
		t.how = "read"
	case len(h.commands):
		t.how = "refused"
	default:
		t.how = "read by some"
	}
	return nil
}

// canary is the file that executed code would make.
const canary = "executed"

// commandLine fills in the words of a hostile's command.
func (t *try) commandLine(line, path string) []string {
	args := strings.Fields(strings.TrimSuffix(line, "<"))
	for i, a := range args {
		a = strings.ReplaceAll(a, "FILE", path)
		a = strings.ReplaceAll(a, "DIR", filepath.Dir(path))
		args[i] = strings.ReplaceAll(a, "IN:", t.inputs+"/")
	}
	return args
}

// writeHostile makes the file, and says how large it is. What the suite itself takes for it must not be counted as tame's: on Linux a process begins
// with the peak of the one that starts it.
func (t *try) writeHostile(h hostile, path string) (size int64, err error) {
	if dir := filepath.Dir(path); dir != t.dir {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return 0, err
		}
		if from := t.in(filepath.Base(dir)); exists(from) {
			if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
				return 0, err
			}
		}
		// Weights in one file would be taken in the place of an index.
		for _, name := range []string{path, strings.TrimSuffix(path, ".index.json")} {
			if err := os.Remove(name); err != nil && !os.IsNotExist(err) {
				return 0, err
			}
		}
	}
	t.making.Lock()
	defer t.making.Unlock()
	if err := writeFile(path, func(w *bufio.Writer) error { return h.write(w, t.nominal()) }); err != nil {
		return 0, err
	}
	forgetPeak()
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return max(info.Size(), h.unpacked*t.nominal()), nil
}

// nominal is the size that most hostile files have.
func (s *suite) nominal() int64 { return int64(s.Scale * (16 << 20)) }

// forgetPeak gives memory back and resets the peak of this process, where the system can.
func forgetPeak() {
	debug.FreeOSMemory()
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
}

// limitNamed is how a refusal names a limit.
var limitNamed = regexp.MustCompile(`(?i)limit|at most|more than|larger than|longer than|deeper than|exceed|too (large|long|many|deep|big)|nested|want \d+ to \d+|leaves room`)

// bounded checks the promises about any file of that size.
func (e ended) bounded(size int64) error {
	allowed := max(memoryFloor, min(memoryMost, memoryTimes*size))
	switch {
	case e.broken != nil:
		return e.broken
	case e.killer != 0:
		return failf("ended by a signal: %s", e.summary())
	case e.peak <= allowed, e.peak <= memoryMost && e.status != 0 && limitNamed.MatchString(e.output):
		return nil
	}
	return failf("took %d MiB for a file of %.1f MiB, allowed are %d: %s", e.peak>>20, float64(size)/(1<<20), allowed>>20, e.summary())
}
