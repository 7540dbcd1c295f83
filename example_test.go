package tame_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tame-rlhf/tame/pkg/losstest"
	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/ppo"
)

// quadratic is a loss for PPO: instead of clipping the ratio it charges for the squared log-ratio.
func quadratic(in ppo.LossInputs) (ppo.Terms, error) {
	x := ops.Expr(in.LogProbs.Graph())
	logRatio := x.Sub(in.LogProbs, in.OldLogProbs)
	gain := x.Mul(x.Exp(logRatio), in.Advantages)
	price := x.Square(logRatio)
	value := x.Square(x.Sub(in.Values, in.Returns))
	perToken := x.Add(x.Sub(price, gain), x.Scale(value, 0.1))
	return ppo.Terms{Loss: x.MaskedMean(perToken, in.Mask, in.Tokens)}, x.Err()
}

// Symbolic gradients against central differences, NaN behind the mask, micro-batches against the batch: no model needed.
func TestQuadratic(t *testing.T) {
	c := losstest.RandomPPO(rand.New(rand.NewPCG(1, 2)), 4, 8)
	losstest.CheckGrad(t, quadratic, c)
	losstest.CheckMask(t, quadratic, c)
	losstest.CheckSplit(t, quadratic, c)
}

// A loss of one's own, evaluated on two tokens and handed to PPO.
func Example() {
	got, err := losstest.Eval(quadratic, losstest.Case{
		Segments: []int32{0, 0},
		Token: map[string][]float64{
			"LogProbs": {-1, -2}, "OldLogProbs": {-1, -1}, "Advantages": {1, 1},
			"Values": {0, 0}, "Returns": {0, 0}, "Mask": {1, 1},
		},
		Scalar: map[string]float64{"Tokens": 2},
		Wrt:    []string{"LogProbs"},
	})
	fmt.Printf("loss %.4f, gradient %.4f, %v\n", got.Loss, got.Grads["LogProbs"], err)

	cfg := ppo.DefaultConfig()
	cfg.Loss = quadratic // ppo.Train(ctx, policy, critic, prompts, heldOut, rewarder, cfg)
	fmt.Println(cfg.Validate())
	// Output:
	// loss -0.1839, gradient [-0.5000 -1.1839], <nil>
	// <nil>
}
