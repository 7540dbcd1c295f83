package train

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"github.com/tame-rlhf/tame/pkg/data"
)

// Terms is what a loss returns: the scalar to minimise, and sums to log. Both add up over micro-batches, so a mean is
// a sum over the micro-batch divided by a count of the whole optimisation batch (the inputs named ScalarTokens and
// ScalarSeqs).
type Terms struct {
	// Loss is the scalar to minimise. () in the graph's dtype.
	Loss *gorgonia.Node
	// Metrics are logged, in this order, and not differentiated. Names are unique.
	Metrics []Metric
}

// Metric is one number to log.
type Metric struct {
	// Name is the key in Result.Metrics, such as "policy/clipfrac_avg".
	Name string
	// Value adds up over micro-batches. () in the graph's dtype.
	Value *gorgonia.Node
}

// Names of the scalar inputs that Step.Run sets by itself.
const (
	// ScalarTokens is the number of counted tokens (mask 1) in the whole optimisation batch.
	ScalarTokens = "tokens"
	// ScalarWeight is the sum of the weights of the counted tokens, see data.Example: as many as
	// ScalarTokens if each has weight 1.
	ScalarWeight = "weight"
	// ScalarSeqs is the number of segments in the whole optimisation batch.
	ScalarSeqs = "seqs"
	// ScalarStep is the optimisation step, counted from 0.
	ScalarStep = "step"
)

// setCounts gives the scalar inputs of a whole batch their values.
func setCounts(scalars map[string]float64, step int, micro ...*data.Ragged) {
	tokens, seqs, weight := 0, 0, 0.0
	for _, b := range micro {
		_, segments := b.Used()
		tokens, seqs, weight = tokens+b.Counted(), seqs+segments, weight+b.Weight()
	}
	scalars[ScalarTokens], scalars[ScalarSeqs] = float64(tokens), float64(seqs)
	scalars[ScalarWeight], scalars[ScalarStep] = weight, float64(step)
}

// Build calls a loss, once, and turns a panic of it into an error: gorgonia's constructors panic, and a loss may come from
// anywhere.
func Build[In any, Loss ~func(In) (Terms, error)](loss Loss, in In) (terms Terms, err error) {
	defer func() {
		if r := recover(); r != nil {
			terms, err = Terms{}, fmt.Errorf("train: the loss panics: %v", r)
		}
	}()
	return loss(in)
}
