package main

import (
	"fmt"

	"github.com/tame-rlhf/tame/pkg/setting"
	"github.com/tame-rlhf/tame/pkg/train"
)

// heldOutConfig is what a training stage is evaluated on.
type heldOutConfig struct {
	// HeldOut is the share of the first questions (of documents, in pretraining) that are held out, with all rows that begin with them,
	// to evaluate the model on them: at the end, and every eval_every steps. Default 0.
	HeldOut float64
	// SplitSeed decides which of them are held out: the same ones for the same seed, in whatever file.
	SplitSeed uint64
	// HeldOutData are datasets to evaluate on, of the kind of data. Nothing is held out of data then. Default: none.
	HeldOutData []string `conf:"input"`
}

func (c heldOutConfig) check(check *setting.Checks, evalEvery int) {
	checkHeldOut(check, c.HeldOut)
	check.That(c.HeldOut == 0 || len(c.HeldOutData) == 0, "HeldOut", c.HeldOut, "0 with HeldOutData")
	check.That(evalEvery <= 0 || c.HeldOut > 0 || len(c.HeldOutData) > 0, "EvalEvery", evalEvery, "0 without HeldOut and HeldOutData")
}

// evaluated are the rows that are evaluated while training.
func evaluated[T any](heldOut []T, evalEvery int) []T {
	if evalEvery == 0 {
		return nil
	}
	return heldOut
}

// fitting leaves out rows that are too long, and reports how many.
func fitting[T any](r *stageRun, rows []T, name string, context int, tooLong func(T) bool) []T {
	var fit []T
	for _, row := range rows {
		if !tooLong(row) {
			fit = append(fit, row)
		}
	}
	if n := len(rows) - len(fit); n > 0 {
		r.notef("%d of %d %s are longer than the model's context of %d tokens and left out", n, len(rows), name, context)
	}
	return fit
}

// ending says which weights are the result, and why training has ended early.
func ending(r train.Report) string {
	text := ""
	if r.Stopped != "" {
		text += "\nstopped early: " + r.Stopped
	}
	if r.BestStep > 0 {
		text += fmt.Sprintf("\nthe weights are those after step %d, the best on what is held out: loss %.3f", r.BestStep, r.HeldOut["loss"])
	}
	return text
}
