package ppo

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/train"
)

// TestLossInputsAreZeroBehindTheMask holds what LossInputs promises, so that a loss of one's own may sum without a mask.
func TestLossInputsAreZeroBehindTheMask(t *testing.T) {
	for _, shared := range []bool{false, true} {
		cfg := smallConfig()
		cfg.SharedTrunk, cfg.ExtraToken = shared, []string{"mine"}
		policy, critic := tinyModel(t, 9, 1, 1), tinyCritic(t, 9, 1, 2)
		rng := rand.New(rand.NewPCG(4, 4))
		policy.AddHead(rng)
		critic.AddHead(rng)
		g, err := newGraph(policy, critic, cfg)
		require.NoError(t, err)
		in := g.lossInputs(cfg)
		columns := map[string]*gorgonia.Node{
			"LogProbs": in.LogProbs, "Entropy": in.Entropy, "Values": in.Values, "OldLogProbs": in.OldLogProbs,
			"RefLogProbs": in.RefLogProbs, "Advantages": in.Advantages, "Returns": in.Returns, "OldValues": in.OldValues,
			"Extra": in.Extra["mine"],
		}
		want := map[string][]float32{
			"OldLogProbs": {1, 2, 3}, "RefLogProbs": {4, 5, 6}, "OldValues": {7, 8, 9}, "Advantages": {-1, -2, -3}, "Returns": {-4, -5, -6},
			"Extra": {10, 11, 12},
		}
		for name, column := range columns {
			f, err := train.NewForward(g.in, []*gorgonia.Node{column}, g.trunks())
			require.NoError(t, err)
			e := &episode{Answer: data.Answer{Prompt: data.TokenPrompt{Tokens: []int32{1, 4, 5}}, Tokens: []int32{3, 6, 2}}}
			e.logProbs, e.refLogProbs, e.values = []float64{1, 2, 3}, []float64{4, 5, 6}, []float64{7, 8, 9}
			e.advantages, e.returns = []float64{-1, -2, -3}, []float64{-4, -5, -6}
			e.extra.TokenExtra = map[string][]float64{"mine": {10, 11, 12}}
			batch := data.NewRagged(cfg.MicroTokens, cfg.MicroSegments)
			e.raw, e.score = 13, 14
			require.NoError(t, e.add(batch, cfg))
			require.NoError(t, e.add(batch, cfg))
			assert.Equal(t, []float32{14, 14, 0}, batch.SegmentColumn(colScores)[:3])
			out, err := f.Run(context.Background(), batch)
			require.NoError(t, err)
			for i, x := range out[0] {
				if counted := i < 12 && i%6 >= 2 && i%6 <= 4; counted { // the states after tokens 2 to 4 act
					assert.NotZero(t, x, "%s[%d]", name, i)
					if numbers := want[name]; numbers != nil {
						assert.Equal(t, numbers[i%6-2], x, "%s[%d]", name, i)
					}
				} else {
					assert.Zero(t, x, "%s[%d]", name, i)
				}
			}
		}
	}
}
