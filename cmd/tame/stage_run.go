package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/tame-rlhf/tame/internal/columnar"
	"github.com/tame-rlhf/tame/internal/console"
	"github.com/tame-rlhf/tame/internal/printable"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/run"
	"github.com/tame-rlhf/tame/pkg/tokenizer"
	"github.com/tame-rlhf/tame/pkg/train"
)

// stageRun is one run of a stage.
type stageRun struct {
	stage   string
	output  stageOutput
	every   int
	lineage data.Lineage
	hasher  data.Hasher          // of what the run reads
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
func (r *stageRun) notef(format string, args ...any) {
	r.console.Printf("%s", printable.Text(fmt.Sprintf(format, args...)))
}

// noteUnused names columns of datasets that no stage reads.
func (r *stageRun) noteUnused(inputs []string) {
	for _, path := range inputs {
		if is, err := columnar.Is(path); err != nil || !is {
			continue
		}
		d, err := openForm(path)
		if err != nil { // the stage says so, with the form that it wants
			continue
		}
		if note := unusedNote(d); note != "" && !sampled(d) {
			r.notef("%s", note)
		}
		d.close()
	}
}

// follow lets a training loop save its state in the checkpoint's folder, with the lineage that output.begin compares, show its
// progress, which begins before its first step, and write the log. done ends the display.
func (r *stageRun) follow(name string, saves *train.Checkpointing, onPhase *func(string, int, int), onStep *func(train.StepInfo)) (done func()) {
	*saves = train.Checkpointing{Dir: r.output.checkpoint, Every: r.every, WriteFiles: func(dir string) error {
		return errors.Join(r.saveTokenizer(dir), data.WriteLineage(dir, r.lineage))
	}}
	var task *console.Task
	detail := ""
	*onPhase = func(phase string, done, total int) {
		switch before := phase == "compiling" || phase == "hashing"; {
		case before:
			r.console.Phase("%s: %s", name, phase)
		case task == nil:
			task = r.console.GoOn(name, done, total)
		default:
			task.Update(done, phase+"  "+detail)
		}
	}
	*onStep = func(info train.StepInfo) {
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
	if m["val/num_empty_answers"] > 0 {
		add("%.0f empty answers  ", "val/num_empty_answers")
	}
	return detail
}

// finishModel writes the result, removes the checkpoint and tells what came out. evaluation, if not nil, goes into evaluation.json.
func (r *stageRun) finishModel(evaluation any, text string) error {
	r.console.Phase("writing %s", r.output.dir)
	err := r.output.write(func(dir string) error { return model.Save(dir, r.policy, r.writeExtras(evaluation)) })
	if err != nil {
		return err
	}
	return r.finish(text)
}

// saveTokenizer writes the tokenizer with the chat format that the model was trained in.
func (r *stageRun) saveTokenizer(dir string) error {
	if r.tmpl == nil { // no chat
		return r.tok.SaveFolder(dir)
	}
	return r.tok.SaveFolderChat(dir, cmp.Or(r.tmpl.Source(), tokenizer.Llama2Chat))
}

// writeExtras writes what goes into the folder besides the model.
func (r *stageRun) writeExtras(evaluation any) func(dir string) error {
	return func(dir string) error {
		if err := r.saveTokenizer(dir); err != nil {
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
	}
}

// finish removes the checkpoint of a result that is safe, and tells what came out.
func (r *stageRun) finish(text string) error {
	r.console.Close()
	fmt.Fprintf(r.out, "%s\n%s is written\n", text, r.output.dir)
	return model.Remove(r.output.checkpoint)
}
