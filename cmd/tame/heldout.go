package main

import (
	"fmt"
	"slices"

	"github.com/tame-rlhf/tame/internal/each"
	"github.com/tame-rlhf/tame/pkg/curate"
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

// splitRow is what is trained on of a row, with the question that curate.Split goes by.
type splitRow[T any] struct {
	question string
	item     T
}

// Question is what curate.Split goes by.
func (r splitRow[T]) Question() string { return r.question }

// split reads datasets, leaves out rows longer than the model's context, counting them, and holds some of the rows out, or reads others for that.
func split[T any](r *stageRun, paths []string, hint string, forms readers[splitRow[T]], name string, length func(T) int, c heldOutConfig) (train, heldOut []T, tooLong int, err error) {
	rows, err := readAll(paths, hint, forms)
	if err != nil {
		return nil, nil, 0, err
	}
	others, err := readAll(c.HeldOutData, hint, forms)
	if err != nil {
		return nil, nil, 0, err
	}
	rowLength := func(row splitRow[T]) int { return length(row.item) }
	fit := fitting(r, rows, name, rowLength)
	kept, held, err := curate.Split(fit, c.HeldOut, c.SplitSeed)
	if err != nil {
		return nil, nil, 0, err
	}
	r.warnOfHeldOut(name, c.HeldOut, len(fit), len(held))
	held = append(held, fitting(r, others, "held-out "+name, rowLength)...)
	return items(kept), items(held), len(rows) - len(fit), nil
}

// warnOfHeldOut tells that a share of few rows came to nothing.
func (r *stageRun) warnOfHeldOut(name string, share float64, rows, held int) {
	if share > 0 && held == 0 {
		r.notef("warning: held_out is %v, and none of the %d %s came to be held out: there is nothing to evaluate on; give held_out_data, or another split_seed", share, rows, name)
	}
}

func items[T any](rows []splitRow[T]) []T {
	return each.Of(rows, func(row splitRow[T]) T { return row.item })
}

// evaluated are the rows that are evaluated while training.
func evaluated[T any](heldOut []T, evalEvery int) []T {
	if evalEvery == 0 {
		return nil
	}
	return heldOut
}

// fitting leaves out rows that are too long, and reports how many.
func fitting[T any](r *stageRun, rows []T, name string, length func(T) int) []T {
	context := r.policy.Config().MaxSeqLen
	fit, n := upTo(context, rows, length)
	if n > 0 {
		r.notef("%d of %d %s are longer than the model's context of %d tokens and left out", n, len(rows), name, context)
	}
	return fit
}

// upTo are the rows that are no longer than the context, and how many are longer.
func upTo[T any](context int, rows []T, length func(T) int) (fit []T, tooLong int) {
	fit = slices.DeleteFunc(slices.Clone(rows), func(row T) bool { return length(row) > context })
	return fit, len(rows) - len(fit)
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
