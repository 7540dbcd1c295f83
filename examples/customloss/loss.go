package main

import (
	"gorgonia.org/gorgonia"

	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/ppo"
)

// softClip is PPO with a clip that has no edge: the ratio r of a token counts as
//
//	soft(r) = 1 + w tanh((r - 1) / w)
//
// which goes through 1 with slope 1 and levels off at 1 ± w, where PPO's clip cuts. The rest is PPO: of both objectives
// the smaller one, a value loss, an entropy bonus.
//
//	L = -mean(min(A r, A soft(r))) + 0.05 mean((V - R)²) - entropyCoef mean(H)
//
// A loss is an ordinary function that is called once, when the graph is built; gradients through the whole model follow
// from it. MaskedMean selects answer tokens and divides by the count of the whole mini-batch.
func softClip(width, entropyCoef float64) ppo.Loss {
	return func(in ppo.LossInputs) (ppo.Terms, error) {
		x := ops.Expr(in.LogProbs.Graph())
		mean := func(v *gorgonia.Node) *gorgonia.Node { return x.MaskedMean(v, in.Mask, in.Tokens) }

		ratio := x.Exp(x.Sub(in.LogProbs, in.OldLogProbs)) // (N)
		excess := x.AddConst(ratio, -1)
		soft := x.AddConst(x.Scale(x.Tanh(x.Scale(excess, 1/width)), width), 1)
		policy := mean(x.Min(x.Mul(in.Advantages, ratio), x.Mul(in.Advantages, soft)))
		value := mean(x.Square(x.Sub(in.Values, in.Returns)))
		entropy := mean(in.Entropy)

		loss := x.Sub(x.Sub(x.Scale(value, 0.05), policy), x.Scale(entropy, entropyCoef))
		return ppo.Terms{Loss: loss, Metrics: []ppo.Metric{
			{Name: "policy/entropy_avg", Value: entropy},
			{Name: "policy/softness", Value: mean(x.Abs(x.Sub(ratio, soft)))}, // how much the clip took away
			{Name: "loss/value_avg", Value: value},
		}}, x.Err() // the first mistake of the whole expression, with its shapes
	}
}
