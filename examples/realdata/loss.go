package main

import (
	"context"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/train"
)

// nll is the mean negative log-likelihood of the answers' tokens of each example, in nats.
func nll(ctx context.Context, p *model.Params, examples []data.Example) ([]float64, error) {
	forward, err := train.ForwardOf(p, "model", microTokens, microSegments, (*model.Trunk).LogProbs)
	if err != nil {
		return nil, err
	}
	lengths := make([][]int, len(examples))
	for i, e := range examples {
		lengths[i] = []int{len(e.Tokens)}
	}
	losses := make([]float64, len(examples))
	err = forward.Each(ctx, lengths, func(r *data.Ragged, i int) error {
		_, err := r.AppendExample(examples[i])
		return err
	}, func(r *data.Ragged, items []int, out [][]float32) {
		for k, i := range items {
			lo, hi := r.Span(k)
			sum, count := 0.0, 0.0
			for slot := lo; slot < hi; slot++ {
				sum -= float64(out[0][slot]) // 0 where it does not count
				count += float64(r.Mask[slot])
			}
			losses[i] = sum / count
		}
	})
	if err != nil {
		return nil, err
	}
	return losses, nil
}
