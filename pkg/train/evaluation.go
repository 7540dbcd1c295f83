package train

import (
	"context"
	"fmt"
	"math"

	"gorgonia.org/gorgonia"

	"github.com/tame-rlhf/tame/pkg/model"
)

// bestName names the weights of the best evaluation in a checkpoint.
const bestName = "best"

// evaluation computes the loss and its metrics on held-out items, without gradients.
type evaluation struct {
	forward *Forward
	batch   *Batch
	names   []string // of the outputs
}

// newEvaluation builds the loss once more.
func (f *fit[T]) newEvaluation() error {
	g, terms, err := f.graph()
	if err != nil {
		return err
	}
	e := &evaluation{batch: NewBatch(f.MicroTokens, f.MicroSegments), names: []string{"loss"}}
	outputs := []*gorgonia.Node{terms.Loss}
	for _, m := range terms.Metrics {
		if m.Name == "loss" { // that is the name of the loss itself here
			continue
		}
		outputs, e.names = append(outputs, m.Value), append(e.names, m.Name)
	}
	if e.forward, err = NewForward(g.In, outputs, []*model.Trunk{g.Trunk}); err != nil {
		return err
	}
	f.eval = e
	return nil
}

// evaluate evaluates the held-out items when it is time, keeps the weights if they are the best ones
// so far, and adds the numbers to those of the step as eval/NAME.
func (f *fit[T]) evaluate(ctx context.Context) error {
	if f.eval == nil || f.report.Steps%f.EvalEvery != 0 && f.report.Steps != f.Steps {
		return nil
	}
	now, err := f.heldOut(ctx)
	if err != nil {
		return err
	}
	for name, x := range now {
		f.reports[evalPrefix+name] = x
	}
	better := f.Better
	if better == nil {
		better = lowerLoss
	}
	if f.best != nil && !better(now, f.report.HeldOut) {
		f.worse++
		return nil
	}
	f.worse, f.report.BestStep, f.report.HeldOut = 0, f.report.Steps, Finite(now)
	if f.best == nil {
		f.best = f.params.Clone()
		return nil
	}
	return f.best.CopyFrom(f.params)
}

func lowerLoss(now, best map[string]float64) bool { return now["loss"] < best["loss"] }

// heldOut computes the loss and the metrics over all held-out items.
func (f *fit[T]) heldOut(ctx context.Context) (map[string]float64, error) {
	micro, err := f.fill(f.eval.batch, f.HeldOut)
	if err != nil {
		return nil, err
	}
	setCounts(f.eval.forward.scalars, f.report.Steps, micro...)
	sums := make(map[string]float64, len(f.eval.names))
	for _, r := range micro {
		out, err := f.eval.forward.Run(ctx, r)
		if err != nil {
			return nil, err
		}
		for i, name := range f.eval.names {
			sums[name] += float64(out[i][0])
		}
	}
	if loss := sums["loss"]; math.IsNaN(loss) || math.IsInf(loss, 0) {
		return nil, fmt.Errorf("%w: the loss on the held-out items is %v", ErrNonFinite, loss)
	}
	return sums, nil
}

// takeBest ends the run with the weights of the best evaluation, if there was one.
func (f *fit[T]) takeBest() error {
	if f.best == nil {
		return nil
	}
	return f.params.CopyFrom(f.best)
}
