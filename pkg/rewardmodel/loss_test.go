package rewardmodel

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/internal/golden"
	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/losstest"
)

// PyTorch's ranking loss and its gradients.
func TestRankingLossGolden(t *testing.T) {
	var want struct {
		Ranking struct {
			Chosen, Rejected, Margin []float64
			Loss                     float64
			DChosen                  []float64 `json:"d_chosen"`
			DRejected                []float64 `json:"d_rejected"`
		}
	}
	golden.JSON(t, "losses.json", &want)
	r := want.Ranking
	require.Len(t, r.Chosen, 6)
	got, err := losstest.Eval(RankingLoss(0), losstest.Case{
		Groups: []int32{0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5}, // pairs are two segments each
		Group: map[string][]float64{
			"Chosen": r.Chosen, "Rejected": r.Rejected, "Margin": r.Margin, losstest.GroupMask: {1, 1, 1, 1, 1, 1},
		},
		Wrt: []string{"Chosen", "Rejected"},
	})
	require.NoError(t, err)
	assert.InDelta(t, r.Loss, got.Loss, 1e-9)
	assert.InDelta(t, r.Loss, got.Metrics["ranking_loss"], 1e-9)
	assert.InDeltaSlice(t, r.DChosen, got.Grads["Chosen"], 1e-9)
	assert.InDeltaSlice(t, r.DRejected, got.Grads["Rejected"], 1e-9)
}

// Two pairs by hand: the ranking loss, and the safety loss as -log σ(s) of safe and -log(1 - σ(s)) of unsafe answers.
func TestSafetyLossByHand(t *testing.T) {
	sigmoid := func(s float64) float64 { return 1 / (1 + math.Exp(-s)) }
	ranking := -(math.Log(sigmoid(0.5-(-1)-2)) + math.Log(sigmoid(-2-1-0))) / 2                // the first pair is right by less than its margin
	safety := -(math.Log(sigmoid(0.5)) + math.Log(1-sigmoid(-1)) + math.Log(1-sigmoid(1))) / 2 // the second chosen has no label

	c := losstest.Case{
		Groups: []int32{0, 0, 1, 1},
		Group: map[string][]float64{
			"Chosen": {0.5, -2}, "Rejected": {-1, 1}, "Margin": {2, 0}, losstest.GroupMask: {1, 1},
			"ChosenSafe": {1, 0}, "ChosenKnown": {1, 0}, "RejectedSafe": {0, 0}, "RejectedKnown": {1, 1},
		},
		Wrt: []string{"Chosen", "Rejected"},
	}
	for _, weight := range []float64{0, 1, 0.25} {
		got, err := losstest.Eval(RankingLoss(weight), c)
		require.NoError(t, err)
		assert.InDelta(t, ranking+weight*safety, got.Loss, 1e-12, "weight %v", weight)
		assert.InDelta(t, 0.5, got.Metrics["accuracy"], 1e-12)
		assert.InDelta(t, (1.5-3)/2, got.Metrics["margin"], 1e-12)
		assert.InDelta(t, (0.5-1-2+1)/4, got.Metrics["mean_reward"], 1e-12)
		assert.InDelta(t, ranking, got.Metrics["ranking_loss"], 1e-12)
		if weight != 0 {
			assert.InDelta(t, safety, got.Metrics["safety_loss"], 1e-12)
		}
		// The gradient of the cross-entropy by its logit is σ(s) - label; the second chosen answer has none.
		ranks := -sigmoid(-(-2 - 1.0)) / 2
		assert.InDelta(t, ranks, got.Grads["Chosen"][1], 1e-12, "weight %v", weight)
		assert.InDelta(t, -ranks+weight*sigmoid(1)/2, got.Grads["Rejected"][1], 1e-12, "weight %v", weight)
	}
}

func TestRankingLossChecks(t *testing.T) {
	for seed := range uint64(2) {
		for _, weight := range []float64{0, 1} {
			c := losstest.RandomPairs(rand.New(rand.NewPCG(seed, 4)), 5)
			losstest.CheckGrad(t, RankingLoss(weight), c)
			losstest.CheckMask(t, RankingLoss(weight), c)
			losstest.CheckSplit(t, RankingLoss(weight), c)
		}
	}
}

// Table 27.
func TestMargins(t *testing.T) {
	for rating, want := range map[data.Rating][3]float64{
		data.SignificantlyBetter: {0, 1, 3},
		data.Better:              {0, 2.0 / 3, 2},
		data.SlightlyBetter:      {0, 1.0 / 3, 1},
		data.NegligiblyBetter:    {0, 0, 0},
	} {
		got := [3]float64{NoMargin.Of(rating), SmallMargin.Of(rating), LargeMargin.Of(rating)}
		assert.Equal(t, want, got, "%v", rating)
	}
}
