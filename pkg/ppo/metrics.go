package ppo

import "math"

// rolloutMetrics reports what the answers of an iteration show before training on them; see doc.go for the names.
func rolloutMetrics(m map[string]float64, episodes []*episode, klCoef float64) {
	n := float64(len(episodes))
	var kl KLEstimates
	var tokens, surprise, reward, helpfulness, safety, bySafety, stopped, empty, longest float64
	var raw, values, returns, errors []float64
	var gate GateCount
	untagged := 0
	var diff, maxDiff float64
	for _, e := range episodes {
		k := EstimateKL(e.logProbs, e.refLogProbs, nil)
		kl.K1 += k.K1
		kl.K2 += k.K2
		kl.K3 += k.K3
		tokens += float64(len(e.Tokens))
		longest = max(longest, float64(len(e.Tokens)))
		for t := range e.Tokens {
			surprise -= e.logProbs[t]
			reward += e.rewards[t]
			errors = append(errors, e.returns[t]-e.values[t])
			d := math.Abs(e.logProbs[t] - float64(e.LogProbs[t]))
			diff, maxDiff = diff+d, max(maxDiff, d)
		}
		values = append(values, e.values...)
		returns = append(returns, e.returns...)
		raw = append(raw, e.raw)
		helpfulness += e.extra.Helpfulness
		safety += e.extra.Safety
		if e.bySafety {
			bySafety++
		}
		gate.Add(e.extra, e.Prompt.Safety, e.bySafety)
		if !e.Prompt.Safety {
			untagged++
		}
		if e.Finished {
			stopped++
		}
		if e.Empty() {
			empty++
		}
	}
	score, scoreVar := moments(raw)
	value, _ := moments(values)
	ret, retVar := moments(returns)
	_, errorVar := moments(errors)

	m["objective/kl"] = kl.K1 / n
	m["objective/kl_k2"] = kl.K2 / n
	m["objective/kl_k3"] = kl.K3 / n
	m["objective/kl_per_token"] = kl.K1 / tokens
	m["objective/kl_coef"] = klCoef
	m["objective/entropy"] = surprise / n
	m["objective/non_score_reward"] = -klCoef * kl.K1 / n
	m["objective/rlhf_reward"] = reward / n
	m["objective/scores"] = score
	m["objective/scores_std"] = math.Sqrt(scoreVar)
	m["objective/helpfulness"] = helpfulness / n
	m["objective/safety"] = safety / n
	m["objective/by_safety"] = bySafety / n
	m["objective/gate_caught"] = float64(gate.Caught) / float64(max(untagged, 1))
	if gate.Caught > 0 {
		m["objective/gate_gain"] = gate.Share()
	}
	m["rollout/logprob_diff_max"] = maxDiff
	m["rollout/logprob_diff_mean"] = diff / tokens
	m["val/num_eos_tokens"] = stopped
	m["val/num_empty_answers"] = empty
	m["critic/values_mean"] = value
	m["critic/returns_mean"] = ret
	m["critic/vf_explained_var"] = 1 - errorVar/max(retVar, whitenEps)
	m["response_length/mean"] = tokens / n
	m["response_length/max"] = longest
}
