package train

import (
	"cmp"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/setting"
)

// Plan is what a run is going to do. Settings.OnPlan is called with it before the first step.
type Plan struct {
	// Stage is the stage, such as "sft".
	Stage string
	// Items is the number of items to train on; 0 if the source does not say.
	Items int
	// Steps is the number of optimisation steps of the whole run, Warmup the steps of them in which
	// the learning rate rises, as they were set.
	Steps, Warmup int
	// Epochs is the number of passes over the items, about; 0 if the source does not say.
	Epochs float64
	// Tokens is the number of tokens that all steps read, about; 0 if the source does not say.
	Tokens int
	// Weights is the number of weights of the networks, Trained that of those that change.
	Weights, Trained int
	// Memory is what the run works in.
	Memory Memory
	// Fields name the settings that decide on these numbers.
	Fields PlanFields
}

// PlanFields are the names of a config's fields, for Plan.Warnings. An empty name is that of the
// number in Plan.
type PlanFields struct {
	Owner                 string // the config with its package, such as "sft: Config"
	Warmup, Steps, Epochs string
}

// Numbers below and above which a plan gets a warning.
const (
	fewSteps   = 20
	manyEpochs = 50
)

// Warnings names the settings that are legal and rarely meant: a warm-up that takes the whole run, a
// run of few steps, and one that reads its data very often. Each is a *setting.FieldError.
func (p Plan) Warnings() []error {
	var all []error
	warn := func(ok bool, field string, value any, want string) {
		if !ok {
			all = append(all, &setting.FieldError{Owner: p.Fields.Owner, Path: field, Value: value, Want: want})
		}
	}
	steps, epochs := cmp.Or(p.Fields.Steps, "Steps"), cmp.Or(p.Fields.Epochs, "Epochs")
	warn(p.Warmup == 0 || p.Warmup < p.Steps, cmp.Or(p.Fields.Warmup, "Warmup"), p.Warmup,
		fmt.Sprintf("less than the %d steps of the run: the learning rate rises until the last one and never falls", p.Steps))
	if p.Steps < fewSteps {
		all = append(all, &setting.FieldError{Owner: p.Fields.Owner, Path: steps,
			Err: fmt.Errorf("the run has only %d steps: most models need hundreds; make the batches smaller or the run longer", p.Steps)})
	}
	if p.Epochs > manyEpochs {
		all = append(all, &setting.FieldError{Owner: p.Fields.Owner, Path: epochs,
			Err: fmt.Errorf("the run reads its data %.0f times: after a few passes models learn it by heart; make the run shorter or take more data", p.Epochs)})
	}
	return all
}

// String is a line for people.
func (p Plan) String() string {
	s := fmt.Sprintf("%d steps", p.Steps)
	if p.Items > 0 {
		s += fmt.Sprintf(" on %d items", p.Items)
	}
	if p.Epochs > 0 {
		s += fmt.Sprintf(", %.3g epochs", p.Epochs)
	}
	if p.Tokens > 0 {
		s += fmt.Sprintf(", about %d tokens", p.Tokens)
	}
	s += fmt.Sprintf("; %d weights", p.Weights)
	if p.Trained < p.Weights {
		s += fmt.Sprintf(", of which %d are trained", p.Trained)
	}
	return s + fmt.Sprintf("; memory %v", p.Memory)
}

// Listed is a Source whose items are known before the first step. Fit checks all of them then.
type Listed[T any] interface {
	// Items are all items.
	Items() []T
}

// Counted is a Source that knows about how much it reads.
type Counted interface {
	// Passes is the number of passes over the data, and of the tokens read, in so many steps; 0 if
	// it is not known.
	Passes(steps int) (epochs float64, tokens int)
}

// plan says what the run is going to do.
func (f *fit[T]) plan() Plan {
	p := Plan{Stage: f.Stage, Steps: f.Steps, Warmup: f.Warmup, Fields: f.Fields, Memory: f.memory()}
	p.Weights, p.Trained = f.step.NumWeights()
	listed, ok := f.Source.(Listed[T])
	if ok {
		p.Items = len(listed.Items())
	}
	if c, ok := f.Source.(Counted); ok {
		p.Epochs, p.Tokens = c.Passes(f.Steps)
	}
	if ok && p.Tokens == 0 {
		once := 0.0
		for _, item := range listed.Items() {
			for _, n := range f.Lengths(item) {
				once += float64(n)
			}
		}
		p.Tokens = int(once * p.Epochs)
	}
	return p
}

// memory is that of the step and of evaluations.
func (f *fit[T]) memory() Memory {
	m := f.step.Memory()
	if f.eval != nil {
		m.Evaluation = m.Weights + f.eval.forward.ArenaBytes()
	}
	return m
}
