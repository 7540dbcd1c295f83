package train

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/exec"
	"github.com/tame-rlhf/tame/pkg/model"
)

// Forward computes nodes without gradients: log-probabilities, values, scores, an evaluation loss. Use NewForward.
type Forward struct {
	outputs []*gorgonia.Node
	program *exec.Program
	feed    *model.Feed
	scalars map[string]float64
	batch   *Batch
}

// NewForward compiles what the outputs need. trunks are the models that they are computed by.
func NewForward(in *model.Inputs, outputs []*gorgonia.Node, trunks []*model.Trunk) (*Forward, error) {
	if in == nil {
		return nil, fmt.Errorf("train: inputs are nil")
	}
	program, feed, err := compile(in, outputs, trunks, exec.Options{})
	if err != nil {
		return nil, err
	}
	return &Forward{outputs: slices.Clone(outputs), program: program, feed: feed, scalars: map[string]float64{}, batch: NewBatch(in.N, in.S)}, nil
}

// ForwardOf is NewForward of one model: it makes the inputs, of n token slots and s segments, and a trunk of that name.
// outputs are such as (*model.Trunk).LogProbs.
func ForwardOf(p *model.Params, name string, n, s int, outputs ...func(*model.Trunk) (*gorgonia.Node, error)) (*Forward, error) {
	in := model.NewInputs(tensor.Float32, n, s)
	trunk, err := model.NewTrunk(in, p, name)
	if err != nil {
		return nil, err
	}
	nodes := make([]*gorgonia.Node, len(outputs))
	for i, output := range outputs {
		if nodes[i], err = output(trunk); err != nil {
			return nil, err
		}
	}
	return NewForward(in, nodes, []*model.Trunk{trunk})
}

// ArenaBytes is the memory of its intermediates.
func (f *Forward) ArenaBytes() int { return f.program.ArenaBytes() }

// SetScalar gives a scalar input, such as "temperature", its value from the next Run on.
func (f *Forward) SetScalar(name string, x float64) { f.scalars[name] = x }

// Run computes the outputs of one micro-batch, as new slices in the order of the outputs: (N) per token, (S) per segment,
// one number for a scalar, rows one after another for a matrix. Unused slots are 0. ScalarTokens, ScalarWeight and
// ScalarSeqs are the counts of this micro-batch and ScalarStep is 0, unless SetScalar gave them.
func (f *Forward) Run(ctx context.Context, batch *data.Ragged) ([][]float32, error) {
	scalars := map[string]float64{}
	setCounts(scalars, 0, batch)
	maps.Copy(scalars, f.scalars)
	if err := f.feed.Load(batch, scalars); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	if err := f.program.Run(ctx); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	values := make([][]float32, len(f.outputs))
	for i, n := range f.outputs {
		buf, err := f.program.Buffer(n)
		if err != nil {
			return nil, fmt.Errorf("train: %w", err)
		}
		values[i] = slices.Clone(buf.F32)
		for _, x := range buf.F64 {
			values[i] = append(values[i], float32(x))
		}
	}
	return values, nil
}

// Each packs groups of sequences into micro-batches of the graph's budget and computes the outputs of
// one after the other. lengths has the number of tokens of each sequence of a group, which share a
// micro-batch. add puts the sequences of group i into a micro-batch, as the next segments. got is
// called with the micro-batch, the groups in it, in the order of their segments, and the outputs as
// Run returns them. A group that does not fit into the budget is a data.ErrTooLong.
func (f *Forward) Each(ctx context.Context, lengths [][]int, add func(r *data.Ragged, i int) error, got func(r *data.Ragged, groups []int, out [][]float32)) error {
	plan, err := data.PackGroups(lengths, f.batch.n, f.batch.s)
	if err != nil {
		return err
	}
	for _, groups := range plan {
		micro, err := f.batch.Fill([][]int{groups}, add)
		if err != nil {
			return err
		}
		out, err := f.Run(ctx, micro[0])
		if err != nil {
			return err
		}
		got(micro[0], groups, out)
	}
	return nil
}
