// Package eval measures models: the exact divergence of one policy from another, and means and shares with intervals.
//
//	kl, err := eval.KL(ctx, policy, reference, answers, 1, 4096, 64) // nats, summed over each answer
//	m := eval.MeanOf(kl)
//	fmt.Println(m.Mean, m.Lo, m.Hi)
//
// Accuracies of reward models are in package rewardmodel, beside what they measure.
//
// # Concurrency
//
// Functions use all processors and keep no state.
package eval
