package train

import (
	"errors"
	"fmt"

	"github.com/tame-rlhf/tame/pkg/model"
)

// ErrNonFinite says that a loss or a gradient is NaN or Inf. The error itself is a *NonFiniteError. The step changed
// nothing: it may be skipped by leaving its batch out.
var ErrNonFinite = errors.New("train: loss or gradient is not finite")

// ErrNoTokens says that no token of a batch is counted, so that the loss would divide by 0.
var ErrNoTokens = errors.New("train: no token of the batch is counted")

const divergedHint = "lower the learning rate, make the warm-up longer, or look for extreme values in the data"

// Diverged is an error that wraps ErrNonFinite if a weight of the model is not finite after so many steps: the last step
// made it, because the steps before see what their weights are.
func Diverged(p *model.Params, steps int) error {
	if err := p.CheckFinite(); err != nil {
		return fmt.Errorf("%w: step %d has left weights that are not numbers: %w: %s", ErrNonFinite, steps, err, divergedHint)
	}
	return nil
}

// NonFiniteError says where NaN or Inf came from. errors.Is(err, ErrNonFinite) holds for it.
type NonFiniteError struct {
	// Step is the optimisation step, counted from 0.
	Step int
	// MicroBatch is the index of the micro-batch in which it showed, -1 if only their sum is not finite.
	MicroBatch int
	// What is "loss" or "gradient of network/weight".
	What string
	// Value is NaN or Inf.
	Value float64
	// Op is the operator whose result was the first to hold NaN or Inf, Node the same with its operands, such as
	// "linear(swiglu, policy/layers.3.down, layout)". Empty if none was found.
	Op, Node string
}

// Error implements error.
func (e *NonFiniteError) Error() string {
	s := fmt.Sprintf("train: step %d: the %s is %v", e.Step, e.What, e.Value)
	if e.MicroBatch >= 0 {
		s += fmt.Sprintf(" in micro-batch %d", e.MicroBatch)
	}
	if e.Op != "" {
		s += fmt.Sprintf(", first in operator %q: %s", e.Op, e.Node)
	}
	return s + ": " + divergedHint
}

// Is makes errors.Is(err, ErrNonFinite) true.
func (e *NonFiniteError) Is(target error) bool { return target == ErrNonFinite }
