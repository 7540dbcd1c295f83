package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tame-rlhf/tame/internal/printable"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/run"
)

// output is the folder that a run makes, and the folder next to it from which a stopped run resumes.
type output struct{ dir, checkpoint string }

func newOutput(dir string) output {
	dir = filepath.Clean(dir)
	return output{dir: dir, checkpoint: dir + ".checkpoint"}
}

// begin compares what is there with the run that starts. done says that this very run has finished already.
func (o output) begin(lineage data.Lineage, resume bool) (done bool, err error) {
	finished, err := exists(o.dir)
	if err != nil {
		return false, err
	}
	begun, err := exists(o.checkpoint)
	switch {
	case err != nil:
		return false, err
	case finished && !resume:
		return false, fmt.Errorf("%s already exists: delete it, or give another output", o.dir)
	case finished:
		before, err := data.ReadLineage(o.dir)
		if err != nil {
			return false, err
		}
		if err := run.Check(o.dir, run.Of(before), run.Of(lineage)); err != nil {
			return false, err
		}
		return true, model.Remove(o.checkpoint) // killed between saving and this
	case begun && !resume:
		return false, fmt.Errorf("%s is a run that was stopped: resume it with --resume, or delete it to start from scratch", o.checkpoint)
	case begun:
		before, err := data.ReadLineage(o.checkpoint)
		if err != nil || before.Stage == "" { // what is there says itself whose it is
			return false, err
		}
		return false, run.Check(o.checkpoint, run.Of(before), run.Of(lineage))
	}
	return false, nil
}

// begun says whether there is something to resume from.
func (o output) begun() bool {
	there, _ := exists(o.checkpoint)
	return there
}

// write makes the folder, all of it at once, with the lineage in it.
func (o output) write(lineage data.Lineage, write func(dir string) error) error {
	dir := filepath.Join(o.checkpoint, "result")
	if err := os.RemoveAll(dir); err != nil { // of a run that was killed in here
		return err
	}
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	if err := errors.Join(write(dir), run.WriteJSON(filepath.Join(dir, "lineage.json"), lineage)); err != nil {
		return err
	}
	return o.move(dir)
}

// move gives a finished folder the name of the output.
func (o output) move(dir string) error {
	if err := os.Rename(dir, o.dir); err != nil {
		return err
	}
	parent, err := os.Open(filepath.Dir(o.dir))
	if err != nil {
		return err
	}
	return errors.Join(parent.Sync(), parent.Close())
}

// printJSON writes a value for programs.
func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(printable.JSONWriter(w))
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
