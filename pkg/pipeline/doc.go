// Package pipeline joins the stages, whose packages do not know each other.
//
// Judges are the two reward models behind one combined reward R_c (Touvron et al. 2023, section 3.2.3), in the forms that
// rejection sampling and PPO ask for:
//
//	judges, err := pipeline.NewJudges(helpfulness, safety, pipeline.DefaultJudgesConfig())
//	answers, err := rejection.Sample(ctx, chat, prompts, judges.Reward, rejection.DefaultConfig())
//	report, err := ppo.Train(ctx, policy, critic, prompts, heldOut, judges, ppo.DefaultConfig())
//
// The iteration over RLHF versions is not here yet; examples/quickstart runs one round by hand.
//
// # Concurrency
//
// Judges are for one goroutine at a time.
package pipeline
