package ppo

import "math"

// AdaptKLCoef is the controller of Ziegler et al. (2019): it raises the KL coefficient when the measured KL is
// above the target and lowers it when below,
//
//	e     = clip(kl/target - 1, -0.2, 0.2)
//	beta' = beta (1 + e answers/horizon)
//
// kl and target are in nats per answer, summed over its tokens; a mean per token would mean something else.
func AdaptKLCoef(coef, kl, target float64, answers int, horizon float64) float64 {
	e := max(-0.2, min(0.2, kl/target-1))
	return coef * (1 + e*float64(answers)/horizon)
}

// KLEstimates are three estimates of KL(π || π_0) of one answer sampled from π, summed over its tokens, in nats (Schulman,
// "Approximating KL divergence", 2020). With r = log π_0 - log π: K1 = -r, K2 = r²/2, K3 = e^r - 1 - r. K1 and K3 have the
// right mean; K1 may be negative, K3 never is and varies less; K2 is biased.
type KLEstimates struct{ K1, K2, K3 float64 }

// EstimateKL sums the estimates over the counted tokens: logProbs and refLogProbs (T), counted (T) or nil for all.
func EstimateKL(logProbs, refLogProbs []float64, counted []bool) KLEstimates {
	var kl KLEstimates
	for t := range logProbs {
		if counted != nil && !counted[t] {
			continue
		}
		r := refLogProbs[t] - logProbs[t]
		kl.K1 -= r
		kl.K2 += r * r / 2
		kl.K3 += math.Expm1(min(r, maxLogRatio)) - r
	}
	return kl
}
