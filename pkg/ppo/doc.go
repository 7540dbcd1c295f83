// Package ppo is the reinforcement learning of Llama 2: proximal policy optimisation of a chat model against a helpfulness
// and a safety reward model (Touvron et al. 2023, arXiv 2307.09288, section 3.2.3).
//
// It maximises, over answers g of the policy π to prompts p,
//
//	R(g|p)  = R~c(g|p) - beta KL(π(g|p) || π_0(g|p))                    equation 4
//	R_c     = R_safety   if p is tagged as a safety prompt or R_safety(g|p) < 0.15
//	          R_helpful  otherwise
//	R~c     = whiten(logit(R_c))
//
// with the clipped objective of Schulman et al. (arXiv 1707.06347, equation 7), a learned value function and generalised
// advantage estimation (arXiv 1506.02438, equation 16). π_0 is the policy as it was at the start. For a first reading take
// docs/ppo.md, then trainer.go from Iterate on, whose steps are numbered.
//
// Legend: N token slots, S segments (answers with their prompts), C width, V vocabulary, T tokens of one answer.
// Slot i is the state after token i and its action is token i+1: whatever belongs to an action, Mask too, lies in the slot
// it is taken from. The last slot of a segment has no action and never counts.
//
//	cfg := ppo.DefaultConfig() // the paper's values
//	cfg.Stop = []int32{tok.EOS()}
//	cfg.OnStep = func(i train.StepInfo) {
//		fmt.Println(i.Step, i.Metrics["objective/scores"], i.Metrics["objective/kl"])
//	}
//	critic := helpfulness.Clone() // the reward model's trunk and head
//	report, err := ppo.Train(ctx, policy, critic, prompts, heldOut, rewarder, cfg)
//	if err != nil {
//		return err
//	}
//	fmt.Println("best after iteration", report.BestIteration, report.BestScore)
//
// New and Trainer.Iterate are the parts of Train for a custom loop. A run that may be interrupted sets
// Config.Checkpointing: it saves itself, and resumes when it is started again with the same arguments.
//
// # Changed logits
//
// With Config.Logits the answers come from another distribution than the policy's own, which is what
// the log-probabilities, ratios and KL of the objective are computed from: a policy gradient without a
// correction for the difference. rollout/logprob_diff_max and logprob_diff_mean measure it. Banned
// tokens that the policy hardly uses make it small; the policy itself is not taught to avoid them.
//
// # A custom loss
//
// Config.Loss is a function from the named nodes of LossInputs to a scalar; gradients follow through the whole model.
// Everything around it (sampling, rewards, advantages, batches) stays. Package losstest checks such a loss without a model.
//
// # Metrics
//
// Averages over the answers of an iteration, before training on them:
//
//	objective/kl, kl_k2, kl_k3    estimates of KL(π || π_0), nats per answer, see KLEstimates; kl is k1
//	objective/kl_per_token        k1 per token
//	objective/kl_coef             beta
//	objective/entropy             -log π of an answer
//	objective/scores, scores_std  R_c before whitening, a raw score (logit), and its deviation
//	objective/non_score_reward    -beta kl
//	objective/rlhf_reward         all rewards of an answer as PPO sees them: the whitened score minus the price of KL
//	objective/helpfulness, safety the two raw scores
//	objective/by_safety           share of answers judged by the safety score
//	objective/gate_caught         of the answers to prompts without the safety tag, the share that the gate caught
//	objective/gate_gain           of these, the share that gains by being caught (GateCount); missing if none was caught
//	critic/vf_explained_var       1 - Var(returns - values) / Var(returns)
//	critic/values_mean, returns_mean
//	response_length/mean, max     tokens
//	val/num_eos_tokens            answers that stopped
//	val/num_empty_answers         answers that are a stop token and nothing else
//	rollout/logprob_diff_max      log-probs of sampler against training graph, per token; 0 without
//	                              Config.Logits, unless something is wrong
//	rollout/logprob_diff_mean     their mean over the tokens
//
// Averages over the mini-batches of an iteration:
//
//	loss/policy_avg, value_avg    the parts of the loss; loss/total the loss
//	policy/approxkl_avg, _k1, _k3 estimates of KL(π_old || π), nats per token; avg is k2, as elsewhere under this name
//	policy/clipfrac_avg           share of tokens whose ratio has left 1 ± ClipRange
//	policy/entropy_avg            of the next token, over the whole vocabulary
//	val/clipfrac_avg              share of values that have moved by more than ValueClip
//	val/ratio, ratio_var          mean of the ratio, and of its squared distance from 1
//	policy/approxkl_first         approxkl_avg of the first mini-batch alone: 0, because its ratios are exactly 1
//	policy/steps                  optimisation steps done, fewer than planned if MaxKL ended them
//	grad_norm/policy, grad_norm/critic, lr/policy, lr/critic
//
// On the held-out prompts, in iterations that evaluate:
//
//	eval/scores                   the held-out score: mean R_c before whitening, unfinished answers as Config.Unfinished says
//	eval/raw_scores               mean R_c before whitening of all answers, however they ended
//	eval/best, start_scores       held-out score of the best policy so far, and of the start
//	eval/finished                 share of answers that stopped
//	eval/empty                    share of answers that are a stop token and nothing else
//	eval/response_length          tokens
//
// And timing_s/sample, score, forward, update, eval, total, and perf/throughput (tokens a
// second, prompts included).
//
// # Concurrency
//
// A Trainer is for one goroutine at a time; it uses several threads by itself. Callbacks run on its goroutine. Nobody else may
// write the policy or the critic meanwhile.
//
// # Allocation
//
// A run holds policy, reference and critic, gradient and two moments of each trained weight, the activations of one micro-batch (far
// fewer with Config.Recompute), and with held-out prompts one more copy of the policy. Sampling packs the policy's weights once more, see model.DecoderBytes.
//
// # Differences from the paper
//
// The paper leaves open, and this package chooses (each a field of Config):
//   - The critic is a model of its own with its own optimiser, started from the helpfulness reward model or what the caller
//     passes; SharedTrunk puts it on the policy. Value loss, clipping and coefficient are InstructGPT's reproduction's.
//   - Gamma 1, lambda 0.95. Advantages are whitened over the iteration's answer tokens, returns are not.
//   - The KL is paid per token, -beta (log π - log π_0), which sums to equation 4 with a one-sample estimate of the KL.
//   - The whitening of logit(R_c) is over the answers of one iteration, with the population's variance. R_c is kept as a raw
//     score throughout, because logit(sigmoid(x)) is x; the gate compares with logit(0.15).
//   - Answers cut off by the length limit lose 1 (a standard deviation). Their episode ends like any other, with value 0.
//   - Temperature 1 and 256 tokens. No top-p or top-k, because then the distribution scored would not be the one sampled.
//   - The held-out criterion is the mean of R_c before whitening, with unfinished answers scored as in training; a policy that
//     ends none of its answers is worse than one that ends some. The best policy is kept, and the start is a candidate.
//   - Evaluations count for early stopping once the critic's warm-up has ended, because only then the policy moves.
package ppo
