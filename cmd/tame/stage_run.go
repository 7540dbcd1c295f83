package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tame-rlhf/tame/internal/console"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/run"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
	"github.com/tame-rlhf/tame/pkg/train"
)

// stageRun is one run of a stage.
type stageRun struct {
	stage   string
	output  output
	every   int
	lineage data.Lineage
	policy  *model.Params        // what a stage starts from
	tok     *tokenizer.Tokenizer // of policy
	tmpl    *data.Template       // of tok
	out     io.Writer            // what came out
	console *console.Console     // how far it is
	log     *stepLog             // nil for none

	extra func(dir string) error // writes further files into the folder of the result, if not nil
}

// tokenizerFile is the tokenizer's name in a model's folder.
const tokenizerFile = "tokenizer.model"

// evaluationFile holds a stage's numbers in its folder.
const evaluationFile = "evaluation.json"

// notef tells something about the run.
func (r *stageRun) notef(format string, args ...any) { r.console.Printf(format, args...) }

// follow lets a training loop save its state in the checkpoint's folder, with the lineage that output.begin compares, show its
// progress and write the log. done ends the display.
func (r *stageRun) follow(name string, saves *train.Checkpointing, onStep *func(train.StepInfo)) (done func()) {
	*saves = train.Checkpointing{Dir: r.output.checkpoint, Every: r.every, WriteFiles: func(dir string) error {
		return errors.Join(r.tok.SaveFolder(dir), data.WriteLineage(dir, r.lineage))
	}}
	var task *console.Task
	detail := ""
	*onStep = func(info train.StepInfo) {
		if task == nil {
			task = r.console.GoOn(name, info.Step-1, info.Total)
		}
		if r.log != nil {
			r.log.write(info)
		}
		detail = stepDetail(info.Metrics)
		task.Update(info.Step, detail)
	}
	return func() {
		if task != nil {
			task.Done(detail)
		}
	}
}

// stepDetail are the numbers that tell most.
func stepDetail(m map[string]float64) string {
	detail := ""
	add := func(format, name string) {
		if x, ok := m[name]; ok {
			detail += fmt.Sprintf(format, x)
		}
	}
	add("loss %.3f  ", "loss")
	add("accuracy %.2f  ", "accuracy")
	add("reward %.3f  ", "objective/scores")
	add("KL %.2f  ", "objective/kl")
	return detail
}

// finishModel writes the result, removes the checkpoint and tells what came out. evaluation, if not nil, goes into evaluation.json.
func (r *stageRun) finishModel(evaluation any, text string) error {
	err := model.Save(r.output.dir, r.policy, func(dir string) error {
		if err := r.tok.SaveFolder(dir); err != nil {
			return err
		}
		if evaluation != nil {
			if err := run.WriteJSON(filepath.Join(dir, evaluationFile), evaluation); err != nil {
				return err
			}
		}
		if r.extra != nil {
			if err := r.extra(dir); err != nil {
				return err
			}
		}
		return data.WriteLineage(dir, r.lineage)
	})
	if err != nil {
		return err
	}
	return r.finish(text)
}

// finish removes the checkpoint of a result that is safe, and tells what came out.
func (r *stageRun) finish(text string) error {
	r.console.Close()
	fmt.Fprintf(r.out, "%s\n%s is written\n", text, r.output.dir)
	return model.Remove(r.output.checkpoint)
}

// stepLog writes what each step reports as JSON lines. A run that goes on does some steps again: their lines are replaced.
type stepLog struct {
	path     string
	resume   bool
	file     *os.File
	recorder *train.Recorder
	err      error
}

// checkPlace wants a folder for a file that is written later.
func checkPlace(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("%s is a folder, want a file", path)
	}
	_, err := os.Stat(filepath.Dir(path))
	return err
}

func (l *stepLog) write(info train.StepInfo) {
	if l.err != nil {
		return
	}
	if l.file == nil {
		if l.err = l.open(info.Step); l.err != nil {
			return
		}
		l.recorder = train.NewRecorder(l.file)
	}
	l.recorder.OnStep(info)
	l.err = l.recorder.Err()
}

// open starts the file, with the lines of the steps before this one if the run goes on.
func (l *stepLog) open(step int) error {
	var kept []byte
	if l.resume && step > 1 {
		raw, err := os.ReadFile(l.path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for line := range bytes.Lines(raw) {
			var before struct{ Step int }
			if json.Unmarshal(line, &before) != nil || before.Step >= step {
				break
			}
			kept = append(kept, line...)
		}
	}
	var err error
	if l.file, err = os.Create(l.path); err != nil {
		return err
	}
	_, err = l.file.Write(kept)
	return err
}

func (l *stepLog) close() {
	if l.file != nil {
		l.file.Close()
	}
}
