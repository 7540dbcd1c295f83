package losstest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"gorgonia.org/gorgonia"

	"github.com/tame-rlhf/tame/pkg/exec"
	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/train"
)

// Result is what a loss gives on a case.
type Result struct {
	// Loss is the loss.
	Loss float64
	// Metrics are the terms to log, by name.
	Metrics map[string]float64
	// Grads are the gradients of the loss by Case.Wrt, shaped like the columns. All zero where the loss does not
	// depend on a column.
	Grads map[string][]float64
}

// Eval builds the loss on the case's inputs, runs it and differentiates it by Case.Wrt. In is the struct of the loss
// inputs, such as ppo.LossInputs: every field of type *gorgonia.Node gets the column or scalar of its name, nil without
// one; the fields Segments and Layout are made from Case.Segments.
func Eval[In any](loss func(In) (train.Terms, error), c Case) (Result, error) {
	e, err := build(loss, c)
	if err != nil {
		return Result{}, err
	}
	return e.run(c)
}

// evaluator is a loss compiled for cases of one shape and dtype.
type evaluator struct {
	program *exec.Program
	nodes   map[string]*gorgonia.Node // inputs, by name
	terms   train.Terms
	grads   map[string]*gorgonia.Node // nil for a column that the loss does not depend on
}

func build[In any](loss func(In) (train.Terms, error), c Case) (*evaluator, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	nodes := inputNodes(c)
	in, err := fill[In](nodes)
	if err != nil {
		return nil, err
	}
	terms, err := call(loss, in)
	if err != nil {
		return nil, err
	}
	wrt := make([]*gorgonia.Node, len(c.Wrt))
	for i, name := range c.Wrt {
		wrt[i] = nodes[name]
	}
	grads, err := train.Grad(terms.Loss, wrt)
	if err != nil {
		return nil, fmt.Errorf("losstest: %w", err)
	}

	e := &evaluator{nodes: nodes, terms: terms, grads: map[string]*gorgonia.Node{}}
	outputs := []*gorgonia.Node{terms.Loss}
	want := func(n *gorgonia.Node) {
		if !slices.Contains(outputs, n) {
			outputs = append(outputs, n)
		}
	}
	for _, m := range terms.Metrics {
		want(m.Value)
	}
	for i, name := range c.Wrt {
		e.grads[name] = grads[i]
		if grads[i] != nil {
			want(grads[i])
		}
	}
	if e.program, err = exec.Compile(outputs, exec.Options{}); err != nil {
		return nil, fmt.Errorf("losstest: %w", err)
	}
	return e, nil
}

// call builds the terms and checks them. Gorgonia's constructors panic, so it recovers.
func call[In any](loss func(In) (train.Terms, error), in In) (terms train.Terms, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("losstest: building the loss: %v (is a field of %T nil that the case has no column for?)", r, in)
		}
	}()
	if terms, err = loss(in); err != nil {
		return terms, fmt.Errorf("losstest: building the loss: %w", err)
	}
	if terms.Loss == nil {
		return terms, fmt.Errorf("losstest: the loss is nil")
	}
	for i, m := range terms.Metrics {
		switch {
		case m.Value == nil:
			return terms, fmt.Errorf("losstest: metric %q is nil", m.Name)
		case !m.Value.IsScalar():
			return terms, fmt.Errorf("losstest: metric %q is %v, want a scalar", m.Name, m.Value.Shape())
		case slices.ContainsFunc(terms.Metrics[:i], func(o train.Metric) bool { return o.Name == m.Name }):
			return terms, fmt.Errorf("losstest: two metrics are named %q", m.Name)
		}
	}
	return terms, nil
}

// run evaluates a case of the shape the evaluator was built for.
func (e *evaluator) run(c Case) (Result, error) {
	for name, value := range c.values() {
		if err := e.program.Bind(e.nodes[name], value); err != nil {
			return Result{}, fmt.Errorf("losstest: %w", err)
		}
	}
	if err := e.program.Run(context.Background()); err != nil {
		return Result{}, fmt.Errorf("losstest: %w", err)
	}
	r := Result{Metrics: map[string]float64{}, Grads: map[string][]float64{}}
	var err error
	value := func(n *gorgonia.Node) []float64 {
		v, e := e.program.Value(n)
		err = errors.Join(err, e)
		return floats(v)
	}
	r.Loss = value(e.terms.Loss)[0]
	for _, m := range e.terms.Metrics {
		r.Metrics[m.Name] = value(m.Value)[0]
	}
	for _, col := range c.columns() {
		if !slices.Contains(c.Wrt, col.name) {
			continue
		}
		r.Grads[col.name] = make([]float64, len(col.data))
		if g := e.grads[col.name]; g != nil {
			copy(r.Grads[col.name], value(g))
		}
	}
	return r, err
}

// floats copies the numbers of a value.
func floats(v gorgonia.Value) []float64 {
	buf, err := ops.BufferOf(v)
	if err != nil {
		return []float64{math.NaN()}
	}
	if buf.F64 != nil {
		return slices.Clone(buf.F64)
	}
	out := make([]float64, len(buf.F32))
	for i, x := range buf.F32 {
		out[i] = float64(x)
	}
	return out
}
