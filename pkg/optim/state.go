package optim

import (
	"errors"
	"fmt"

	"gorgonia.org/tensor"
)

// Moment holds the running means of one parameter.
type Moment struct {
	// Name is the parameter's.
	Name string
	// M is the mean of the gradients, V that of their squares. Shape and dtype of the parameter.
	M, V *tensor.Dense
}

// State is everything an AdamW carries from step to step.
type State struct {
	// Steps is the number of steps done.
	Steps int
	// Moments are in the order of the parameters.
	Moments []Moment
}

// State returns the state for a checkpoint. The tensors are the optimiser's own: write them out before the next Step,
// and change nothing. Before Init or the first Step there are none.
func (o *AdamW) State() State {
	return State{Steps: o.steps, Moments: o.moments}
}

// Restore copies a state in: the next Step goes on where the saved optimiser stood, with the same bits. The state must
// have a moment of the same name, shape and dtype for every parameter, in any order, and no other.
func (o *AdamW) Restore(params []Param, s State) error {
	if s.Steps < 0 {
		return fmt.Errorf("optim: state has %d steps, want at least 0", s.Steps)
	}
	byName := make(map[string]Moment, len(s.Moments))
	for _, m := range s.Moments {
		byName[m.Name] = m
	}
	fresh := AdamW{Beta1: o.Beta1, Beta2: o.Beta2, Eps: o.Eps, WeightDecay: o.WeightDecay}
	if err := fresh.Init(params); err != nil {
		return err
	}
	var errs []error
	for i, p := range params {
		m, ok := byName[p.Name]
		if !ok {
			errs = append(errs, fmt.Errorf("optim: state has no moments of %q", p.Name))
			continue
		}
		delete(byName, p.Name)
		if err := errors.Join(sameTensor("saved m of", p.Name, m.M, p.Value), sameTensor("saved v of", p.Name, m.V, p.Value)); err != nil {
			errs = append(errs, err)
			continue
		}
		if err := errors.Join(tensor.Copy(fresh.moments[i].M, m.M), tensor.Copy(fresh.moments[i].V, m.V)); err != nil {
			errs = append(errs, fmt.Errorf("optim: %s: %w", p.Name, err))
		}
	}
	for _, m := range s.Moments {
		if _, left := byName[m.Name]; left {
			errs = append(errs, fmt.Errorf("optim: state has moments of %q, which is no parameter", m.Name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	o.steps, o.moments = s.Steps, fresh.moments
	return nil
}
