package rewardmodel

import (
	"context"
	"errors"
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/train"
)

// Scorer scores sequences with a reward model whose weights are shared, not copied. It is for one goroutine at a time.
type Scorer struct {
	forward *train.Forward
	maxLen  int
}

// NewScorer builds the forward graph for micro-batches of n tokens and s segments.
func NewScorer(p *model.Params, n, s int) (*Scorer, error) {
	if !p.HasHead() {
		return nil, errors.New("rewardmodel: the model has no scalar head: it is not a reward model")
	}
	in := model.NewInputs(tensor.Float32, n, s)
	trunk, err := model.NewTrunk(in, p, "reward")
	if err != nil {
		return nil, fmt.Errorf("rewardmodel: %w", err)
	}
	scores, err := trunk.SegmentScores()
	if err != nil {
		return nil, fmt.Errorf("rewardmodel: %w", err)
	}
	forward, err := train.NewForward(in, []*gorgonia.Node{scores}, []*model.Trunk{trunk})
	if err != nil {
		return nil, fmt.Errorf("rewardmodel: %w", err)
	}
	return &Scorer{forward: forward, maxLen: p.Config().MaxSeqLen}, nil
}

// Score gives the raw score, before any sigmoid, of each sequence: prompt, answer and its EOS. It is read at the last
// token.
func (s *Scorer) Score(ctx context.Context, sequences [][]int32) ([]float64, error) {
	lengths := make([]int, len(sequences))
	for i, seq := range sequences {
		lengths[i] = len(seq)
		if len(seq) == 0 || len(seq) > s.maxLen {
			return nil, fmt.Errorf("rewardmodel: sequence %d has %d tokens, want 1 to the model's context of %d", i, len(seq), s.maxLen)
		}
	}
	scores := make([]float64, len(sequences))
	err := s.forward.Each(ctx, lengths, func(r *data.Ragged, i int) error {
		_, err := r.Append(sequences[i], nil)
		return err
	}, func(_ *data.Ragged, items []int, out [][]float32) {
		for k, i := range items {
			scores[i] = float64(out[0][k])
		}
	})
	if err != nil {
		return nil, fmt.Errorf("rewardmodel: %w", err)
	}
	return scores, nil
}

// Center shifts the head's bias so that the mean of these scores, which the model gave, becomes 0. Do this to the
// helpfulness model, on answers of the model that PPO starts from. Never to the safety model: the 0.15 of the combined
// reward needs its absolute level.
func Center(p *model.Params, scores []float64) error {
	bias := p.Get("score.bias")
	if bias == nil || len(scores) == 0 || p.DType() != tensor.Float32 {
		return errors.New("rewardmodel: centring needs float32 weights with a scalar head, and scores")
	}
	mean := 0.0
	for _, s := range scores {
		mean += s / float64(len(scores))
	}
	bias.Value.Float32s()[0] -= float32(mean)
	return nil
}
