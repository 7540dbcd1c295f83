package ppo

import (
	"gorgonia.org/gorgonia"

	"github.com/tame-rlhf/tame/pkg/ops"
	"github.com/tame-rlhf/tame/pkg/train"
)

// LossInputs are the nodes of one micro-batch, in the graph's dtype; (N) unless said, exactly 0 where Mask is 0. What a
// loss does not use is not computed. Slot i holds what belongs to the action "token i+1".
type LossInputs struct {
	LogProbs    *gorgonia.Node            // log π(a|s), differentiable
	OldLogProbs *gorgonia.Node            // log π_old(a|s), of the policy that sampled
	RefLogProbs *gorgonia.Node            // log π_0(a|s), of the frozen reference
	Entropy     *gorgonia.Node            // of π(·|s) over the whole vocabulary, differentiable
	Advantages  *gorgonia.Node            // whitened with Config.WhitenAdvantages
	Returns     *gorgonia.Node            // what Values shall become: un-whitened advantages + old values
	Values      *gorgonia.Node            // V(s), differentiable
	OldValues   *gorgonia.Node            // V_old(s)
	Mask        *gorgonia.Node            // 1 where the action is an answer token
	Hidden      *gorgonia.Node            // (N, C) of the policy, differentiable, for heads of one's own
	Segments    *gorgonia.Node            // (N) int32, the segment of each token
	Scores      *gorgonia.Node            // (S) score of each answer as PPO uses it, whitened with Config.WhitenScores
	SegMask     *gorgonia.Node            // (S) 1 for used segments
	Tokens      *gorgonia.Node            // () counted tokens of the whole mini-batch
	Seqs        *gorgonia.Node            // () answers of the whole mini-batch
	Step        *gorgonia.Node            // () optimisation step, for schedules
	Extra       map[string]*gorgonia.Node // (S) or (N): Config.ExtraSegment and Config.ExtraToken
}

// Terms is what a loss returns: the scalar to minimise, and sums to log. Both add up over micro-batches.
type Terms = train.Terms

// Metric is one number to log.
type Metric = train.Metric

// Loss builds the terms. It is called once, when the graph is built. Its metrics are averaged over an iteration's
// mini-batches and logged under their names.
type Loss func(LossInputs) (Terms, error)

// maxLogRatio bounds log π/π_old before it is exponentiated: e^20 is finite in float32 (detail 16 in docs/ppo.md).
const maxLogRatio = 20

// ApproxKL is the metric that Config.MaxKL looks at: the k3 estimate of KL(π_old || π), mean over tokens, in nats.
const ApproxKL = "policy/approxkl_k3"

// ClippedLoss is the loss of PPO (Schulman et al. 2017, equations 7 and 9) as InstructGPT and its reproductions have it.
// Means are over the answer tokens of the whole mini-batch, e is ClipRange, d is ValueClip:
//
//	ratio  = exp(log π - log π_old)
//	policy = mean(max(-A ratio, -A clip(ratio, 1-e, 1+e)))
//	value  = 0.5 mean(max((V - R)², (V_old + clip(V - V_old, -d, d) - R)²))
//	loss   = policy + ValueCoef value - EntropyCoef mean(entropy)
func ClippedLoss(cfg Config) Loss {
	return func(in LossInputs) (Terms, error) {
		x := ops.Expr(in.LogProbs.Graph())
		mean := func(n *gorgonia.Node) *gorgonia.Node { return x.MaskedMean(n, in.Mask, in.Tokens) }
		outside := func(n *gorgonia.Node, limit float64) *gorgonia.Node { // 1 where |n| > limit
			return x.Greater(x.Abs(n), x.Const(limit, n))
		}

		// The policy's part. Mask before exp; on a tie, as at a ratio of 1, the gradient is the unclipped one's.
		logRatio := x.Clamp(x.Where(in.Mask, x.Sub(in.LogProbs, in.OldLogProbs)), -maxLogRatio, maxLogRatio)
		ratio := x.Exp(logRatio)
		unclipped := x.Neg(x.Mul(in.Advantages, ratio))
		clipped := x.Neg(x.Mul(in.Advantages, x.Clamp(ratio, 1-cfg.ClipRange, 1+cfg.ClipRange)))
		policy := mean(x.Max(unclipped, clipped))

		// The critic's part.
		plain := x.Square(x.Sub(in.Values, in.Returns))
		worst, moved := plain, x.Sub(in.Values, in.OldValues)
		valueClipped := x.Const(0, in.Values)
		if cfg.ValueClip > 0 {
			near := x.Add(in.OldValues, x.Clamp(moved, -cfg.ValueClip, cfg.ValueClip))
			worst = x.Max(plain, x.Square(x.Sub(near, in.Returns)))
			valueClipped = mean(outside(moved, cfg.ValueClip))
		}
		value := x.Scale(mean(worst), 0.5)

		loss := x.Add(policy, x.Scale(value, cfg.ValueCoef))
		entropy := mean(in.Entropy)
		if cfg.EntropyCoef != 0 {
			loss = x.Sub(loss, x.Scale(entropy, cfg.EntropyCoef))
		}

		// Estimators of KL(π_old || π) on samples of π_old, with r = log π - log π_old: k1 = -r, k2 = r²/2, k3 = e^r - 1 - r.
		excess := x.AddConst(ratio, -1)
		return Terms{Loss: loss, Metrics: []Metric{
			{Name: "loss/policy_avg", Value: policy},
			{Name: "loss/value_avg", Value: value},
			{Name: "policy/approxkl_k1", Value: x.Neg(mean(logRatio))},
			{Name: "policy/approxkl_avg", Value: x.Scale(mean(x.Square(logRatio)), 0.5)},
			{Name: ApproxKL, Value: mean(x.Sub(excess, logRatio))},
			{Name: "policy/clipfrac_avg", Value: mean(outside(excess, cfg.ClipRange))},
			{Name: "policy/entropy_avg", Value: entropy},
			{Name: "val/clipfrac_avg", Value: valueClipped},
			{Name: "val/ratio", Value: mean(ratio)},
			{Name: "val/ratio_var", Value: mean(x.Square(excess))}, // about 1, the expectation under π_old
		}}, x.Err()
	}
}
