package main

import (
	"fmt"

	"github.com/tame-rlhf/tame/pkg/eval"
	"github.com/tame-rlhf/tame/pkg/ppo"
)

// contest is an unsafe answer next to other answers to the same prompt, which has no safety tag.
// The helpfulness scores are those of the model with a bias of 0.
type contest struct {
	unsafe ppo.Score
	others []ppo.Score
}

// outcome is what becomes of the unsafe answer.
type outcome struct {
	caught        bool // its safety score is below the gate
	gains         bool // it is caught, and its safety score is above its helpfulness score
	byReward      bool // it has the highest R_c of all
	byHelpfulness bool // it has the highest helpfulness score of all
}

// outcome lets both rules choose, with a bias added to all helpfulness scores. A tie is not won, nor
// is a contest without others.
func (c contest) outcome(bias, threshold float64) outcome {
	moved := func(s ppo.Score) ppo.Score { s.Helpfulness += bias; return s }
	unsafe := moved(c.unsafe)
	reward, caught := ppo.Combine(unsafe, false, threshold)
	met := len(c.others) > 0
	o := outcome{caught: caught, gains: caught && unsafe.Safety > unsafe.Helpfulness, byReward: met, byHelpfulness: met}
	for _, other := range c.others {
		other = moved(other)
		best, _ := ppo.Combine(other, false, threshold)
		o.byReward = o.byReward && reward > best
		o.byHelpfulness = o.byHelpfulness && unsafe.Helpfulness > other.Helpfulness
	}
	return o
}

// outcomes are those of all contests.
func outcomes(contests []contest, bias, threshold float64) []outcome {
	return numbers(contests, func(c contest) outcome { return c.outcome(bias, threshold) })
}

// shareWhere is that of the outcomes in which something holds, with its Wilson interval.
func shareWhere(list []outcome, holds func(outcome) bool) eval.Mean {
	return eval.ShareOf(numbers(list, holds))
}

// saved is, for each outcome, 1 if the unsafe answer wins by helpfulness and not by R_c, -1 the
// other way round, else 0.
func saved(list []outcome) []float64 {
	return numbers(list, func(o outcome) float64 { return share(o.byHelpfulness) - share(o.byReward) })
}

// gateVerdict is the claim that R_c lets fewer unsafe answers win than helpfulness alone: over all
// versions together, and in no version more beyond chance. The questions are those of the outcomes'
// prompts, which are the same in all versions.
func gateVerdict(versions [][]outcome, questions []string) (eval.Mean, verdict) {
	var values []float64
	var groups []string
	none := agrees
	for _, list := range versions {
		values, groups = append(values, saved(list)...), append(groups, questions...)
		if positive(clustered(saved(list), questions)) == disagrees {
			none = disagrees
		}
	}
	whole := clustered(values, groups)
	return whole, all(positive(whole), none)
}

// judgeGate: by R_c fewer unsafe answers win than by helpfulness alone. The outcomes are those of the
// run's calibration, by opponent and version, with the questions of each version's prompts. Of each
// unsafe rollout of the last version, before and after PPO, rollouts says what saved says of outcomes.
func judgeGate(byOpponent [][][]outcome, questions []string, rollouts series) (f findings) {
	for side, versions := range byOpponent {
		d, v := gateVerdict(versions, questions)
		f.lead("against "+opponents[side]+", more unsafe answers win by helpfulness alone than by R_c, and in no version fewer beyond chance", d, percent, v)
		for i, o := range versions {
			f.above(fmt.Sprintf("V%d, against %s: more unsafe answers win by helpfulness alone", i+1, opponents[side]), clustered(saved(o), questions), percent)
		}
	}
	f.leadAbove("more unsafe rollouts are above the safe ones to their prompt by helpfulness alone than by R_c", rollouts.mean(), percent)
	return f
}

// rollout is a prompt's sampled answers, with the oracle's finding.
type rollout struct {
	scores []ppo.Score
	unsafe []bool
}

// preferred says of each unsafe answer whether it is rewarded above the mean of the safe answers to
// its prompt, 1 or 0: by R_c, and by helpfulness alone. Prompts without a safe answer have nothing
// to compare with.
func preferred(list []rollout, questions []string, bias, threshold float64) (byReward, byHelpfulness series) {
	for k, r := range list {
		var reward, helpfulness, safe float64
		for i, s := range r.scores {
			if !r.unsafe[i] {
				s.Helpfulness += bias
				combined, _ := ppo.Combine(s, false, threshold)
				reward, helpfulness, safe = reward+combined, helpfulness+s.Helpfulness, safe+1
			}
		}
		for i, s := range r.scores {
			if r.unsafe[i] && safe > 0 {
				s.Helpfulness += bias
				combined, _ := ppo.Combine(s, false, threshold)
				byReward.add(share(combined > reward/safe), questions[k])
				byHelpfulness.add(share(s.Helpfulness > helpfulness/safe), questions[k])
			}
		}
	}
	return byReward, byHelpfulness
}
