package losstest_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tame-rlhf/tame/pkg/losstest"
	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/ppo"
	"github.com/tame-rlhf/tame/pkg/rewardmodel"
	"github.com/tame-rlhf/tame/pkg/sft"
)

// check runs all three checks, and compares float32 with float64.
func check[In any](t *testing.T, loss func(In) (sft.Terms, error), c losstest.Case) {
	t.Helper()
	want, err := losstest.Eval(loss, c)
	require.NoError(t, err)
	single := c
	single.Float32 = true
	got, err := losstest.Eval(loss, single)
	require.NoError(t, err)
	assert.InEpsilon(t, want.Loss, got.Loss, 1e-5)
	for name, grad := range want.Grads {
		assert.LessOrEqual(t, apartBy(grad, got.Grads[name]), 1e-5, name)
	}
	losstest.CheckGrad(t, loss, c)
	losstest.CheckMask(t, loss, c)
	losstest.CheckSplit(t, loss, c)
}

// The project's own losses pass, on cases whose columns find their fields.
func TestStages(t *testing.T) {
	for seed := range uint64(3) {
		rng := rand.New(rand.NewPCG(seed, 1))
		check(t, sft.NLL, losstest.RandomSFT(rng, 4, 6))
		for _, change := range []func(*ppo.Config){
			func(*ppo.Config) {},
			func(c *ppo.Config) { c.ValueClip, c.EntropyCoef, c.ValueCoef = 0, 0.01, 0.5 },
		} {
			cfg := ppo.DefaultConfig()
			change(&cfg)
			check(t, ppo.ClippedLoss(cfg), losstest.RandomPPO(rng, 4, 8))
		}
		check(t, rewardmodel.RankingLoss(0), losstest.RandomPairs(rng, 5))
		check(t, rewardmodel.RankingLoss(0.5), losstest.RandomPairs(rng, 5))
	}
}

// The safety term must select by its own mask.
func TestMaskOfCatches(t *testing.T) {
	loss := func(in rewardmodel.LossInputs) (rewardmodel.Terms, error) {
		x := ops.Expr(in.Chosen.Graph())
		bce := x.Sub(x.Softplus(in.Chosen), x.Mul(in.ChosenSafe, in.Chosen))
		return terms(x, x.MaskedMean(bce, in.PairMask, in.Pairs))
	}
	fails(t, "leaks through ChosenSafe", func(tb losstest.TB) {
		losstest.CheckMask(tb, loss, losstest.RandomPairs(rand.New(rand.NewPCG(1, 1)), 6))
	})
}

func TestPairsAreCounted(t *testing.T) {
	c := losstest.RandomPairs(rand.New(rand.NewPCG(1, 1)), 6)
	got, err := losstest.Eval(func(in rewardmodel.LossInputs) (rewardmodel.Terms, error) {
		x := ops.Expr(in.Chosen.Graph())
		return terms(x, x.Add(in.Pairs, x.Scale(x.Sum(in.SegMask), 100)))
	}, c)
	require.NoError(t, err)
	assert.Equal(t, 1206.0, got.Loss)
}
