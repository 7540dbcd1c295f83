package eval

import (
	"context"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/each"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/train"
)

// named is a model, and its name in errors.
type named struct {
	name string
	p    *model.Params
}

// forward computes outputs of float32 models on sequences, in micro-batches of n tokens and s
// sequences. got is called for each, as train.Forward.Each does.
func forward(ctx context.Context, models []named, sequences []data.Example, n, s int,
	outputs func(trunks []*model.Trunk) ([]*gorgonia.Node, error), got func(r *data.Ragged, items []int, out [][]float32)) error {
	in := model.NewInputs(tensor.Float32, n, s)
	trunks := make([]*model.Trunk, len(models))
	for i, m := range models {
		var err error
		if trunks[i], err = model.NewTrunk(in, m.p, m.name); err != nil {
			return err
		}
	}
	nodes, err := outputs(trunks)
	if err != nil {
		return err
	}
	f, err := train.NewForward(in, nodes, trunks)
	if err != nil {
		return err
	}
	lengths := each.Of(sequences, func(e data.Example) []int { return []int{len(e.Tokens)} })
	return f.Each(ctx, lengths, func(r *data.Ragged, i int) error {
		_, err := r.AppendExample(sequences[i])
		return err
	}, got)
}
