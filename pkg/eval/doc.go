// Package eval measures models and reward models (Touvron et al. 2023, sections 3.4, 4.2 and 4.4): what share of people or judges prefers their answers,
// how often they do harm or decline without need, how far rewards can be trusted, how alike samples are, how far a policy is from another.
//
//	wins, err := eval.WinRate(ctx, judge, matches)                 // both orders are shown to the judge
//	rates, err := eval.Safety(answers, verdict)                    // violations and false refusals
//	declined := eval.Refusal(text)                                 // by rules about words
//	c, err := eval.CalibratePreferences(differences, 10, eval.EqualCount)
//	d, err := eval.Distribute(rewardsOfVersions, 20, eval.Quantile(rewardsOfVersions[0], 0.05))
//	curves, from, err := eval.OverOptimisation(versions)           // the reward is exploited from this version on
//	alike, err := eval.SelfBLEU(samples, 4)
//	loss, err := eval.LossOn(ctx, p, heldOut, 4096, 64)            // nats per token, perplexity, token accuracy
//	kl, err := eval.KL(ctx, policy, reference, answers, 1, 4096, 64) // nats, summed over each answer
//
// Every mean and share is a Mean, which has its 95 % interval. docs/eval.md has each formula with its source. Accuracies of reward models are in
// package rewardmodel, beside what they measure.
//
// # Concurrency
//
// Functions keep no state; KL and LossOn use all processors, the others one. WinRate and Safety ask one thing at a time.
//
// # Differences from the paper
//
// The paper swaps the order of two answers at random; here both orders are shown, and what depends on the order is a tie. It reports ties beside
// wins; the rate here counts them half, and the counts are there too. It has no formula for the calibration of figure 29, which shows mean
// rewards against ratings (RewardByRating); errors of calibration are ours. It saw no divergence between its reward and a general one and says not when it
// would have: OverOptimisation is ours. Its refusals were counted by people.
package eval
