package train

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/model"
	"github.com/tame-rlhf/tame/pkg/ops"
)

// Recompute is less memory for the same bits, and frozen weights need less.
func TestFitRecompute(t *testing.T) {
	trained := func(recompute bool, frozen ...string) ([]float32, Memory) {
		p := model.NewParams(model.Config{
			Dim: 16, NumLayers: 4, NumHeads: 2, NumKVHeads: 1, HeadDim: 8, HiddenDim: 24, VocabSize: 12, MaxSeqLen: 16,
			NormEps: 1e-5, RopeTheta: 1e4, BOS: 1, EOS: 2,
		}, tensor.Float32)
		rng := rand.New(rand.NewPCG(1, 9))
		p.Init(rng)
		docs := make([][]int32, 24)
		for i := range docs {
			for range 2 + rng.IntN(10) {
				docs[i] = append(docs[i], rng.Int32N(12))
			}
		}
		source, err := NewEpochs(docs, 8, 1)
		require.NoError(t, err)
		s := DefaultSettings(1e-2)
		s.MicroTokens, s.MicroSegments, s.Recompute = 32, 4, recompute
		s.Frozen = frozen
		task := Task[[]int32]{
			Steps: 3, Source: source,
			Lengths: func(doc []int32) []int { return []int{len(doc)} },
			Add: func(r *data.Ragged, doc []int32) error {
				_, err := r.AppendExample(data.Join(nil, doc))
				return err
			},
			Loss: func(g Graph) (Terms, error) {
				logp, err := g.Trunk.LogProbs()
				x := ops.Expr(g.In.G)
				return Terms{Loss: x.Neg(x.MaskedMean(logp, g.In.Mask, g.In.Scalar(ScalarTokens)))}, err
			},
		}
		f, err := newFit(p, task, s)
		require.NoError(t, err)
		_, err = Fit(context.Background(), p, task, s)
		require.NoError(t, err)
		var all []float32
		for _, q := range p.All() {
			all = append(all, q.Value.Float32s()...)
		}
		return all, f.step.Memory()
	}
	kept, more := trained(false)
	again, less := trained(true)
	assert.Equal(t, kept, again)
	assert.Less(t, less.Intermediates, more.Intermediates*3/4)

	// Nothing is computed for frozen weights, and nothing flows back behind the first that is trained.
	_, few := trained(false, "embed", "layers.[012].*")
	assert.Equal(t, 2*few.Gradients, few.Moments)
	assert.Less(t, few.Gradients, more.Gradients/2)
	assert.Less(t, few.Intermediates, more.Intermediates*3/4)
}
