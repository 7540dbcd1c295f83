package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tame-rlhf/tame/internal/output"
	"github.com/tame-rlhf/tame/internal/printable"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/run"
)

// stageOutput is the folder that a run makes, and the folder next to it from which a stopped run resumes.
type stageOutput struct {
	dir, checkpoint string
	set             *output.Set // dir, locked
}

func newOutput(dir string) stageOutput {
	dir = filepath.Clean(dir)
	return stageOutput{dir: dir, checkpoint: dir + ".checkpoint"}
}

// place is where the folder goes. What is there is compared in begin.
func (o stageOutput) place() output.Place {
	return output.Place{Path: o.dir, Folder: true, Old: true}
}

// check looks at all places of a run before any work. log may be empty.
func (o stageOutput) check(inputs []string, log string) error {
	places := []output.Place{o.place(), {Path: o.checkpoint, Folder: true, Old: true}, {Path: o.dir + ".lock", Old: true}}
	if log != "" {
		places = append(places, output.Place{Path: log, Old: true})
	}
	return output.Check(inputs, places...)
}

// begin compares what is there with the run that starts. done says that this very run has finished already.
func (o stageOutput) begin(lineage data.Lineage, resume bool) (done bool, err error) {
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
func (o stageOutput) begun() bool {
	there, _ := exists(o.checkpoint)
	return there
}

// write makes the folder, all of it at once.
func (o stageOutput) write(write func(dir string) error) error {
	if err := o.set.Write(o.dir, write); err != nil {
		return err
	}
	return o.set.Commit()
}

// makeOutput makes the output of a tool, all of it or nothing.
func makeOutput(inputs []string, place output.Place, write func(path string) error) error {
	set, err := output.New(inputs, place)
	if err != nil {
		return err
	}
	defer set.Close()
	if err := set.Write(place.Path, write); err != nil {
		return err
	}
	return set.Commit()
}

// checkOutputs names all inputs that are missing, and every place at which nothing can be made.
func checkOutputs(inputs []string, places ...output.Place) error {
	return errors.Join(checkInputs(inputs), output.Check(inputs, places...))
}

// printJSON writes a value for programs.
func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(printable.JSONWriter(w))
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
