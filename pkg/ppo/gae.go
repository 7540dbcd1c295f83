package ppo

// GAE is generalised advantage estimation (Schulman et al. 2016, equation 16) over the tokens of one answer. With t' the
// next counted token after t:
//
//	delta_t = r_t + gamma V_t' - V_t
//	A_t     = delta_t + gamma lambda A_t'
//	returns = A + V
//
// After the last counted token V and A are 0: a stop token ends the episode, and so does a length limit, because the
// score, paid at the last token, already judges the answer as it stands.
//
// rewards and values (T), counted (T) or nil for all. Tokens not counted, such as another speaker's inside an answer, are
// skipped: they get 0 and nothing decays across them. A reward on such a token is dropped.
func GAE(rewards, values []float64, counted []bool, gamma, lambda float64) (advantages, returns []float64) {
	advantages = make([]float64, len(rewards))
	returns = make([]float64, len(rewards))
	nextValue, nextAdvantage := 0.0, 0.0
	for t := len(rewards) - 1; t >= 0; t-- {
		if counted != nil && !counted[t] {
			continue
		}
		delta := rewards[t] + gamma*nextValue - values[t]
		advantages[t] = delta + gamma*lambda*nextAdvantage
		returns[t] = advantages[t] + values[t]
		nextValue, nextAdvantage = values[t], advantages[t]
	}
	return advantages, returns
}
