// Package pipeline joins the stages, whose packages do not know each other.
//
// Run is the iteration of Llama 2-Chat (Touvron et al. 2023, section 3.2): from V1 to V5, each version
//
//  1. collects fresh preferences on answers of the newest model and of the one before it, shown in
//     an order that a hash decides (section 3.2.1),
//
//  2. trains both reward models on all preferences so far and on open ones, mixed as
//     rewardmodel.Mixes does (section 3.2.2), without those that ask a held-out question, and sets
//     the level of the helpfulness model on the fresh answers, because the combined reward compares
//     it with the safety model's (Config.Calibration),
//
//  3. chooses the temperature anew and samples K answers per prompt (section 3.2.3, figure 8),
//
//  4. fine-tunes on the best of them: V1 to V3 on their own samples, later ones on the best of all versions,
//
//  5. and V5 runs PPO on top.
//
//     d := pipeline.Data{Start: chat, Tokenizer: tok, Template: tmpl, Helpfulness: asked, Safety: adversarial,
//     Prompts: prompts, Validation: validation, Annotate: people}
//     cfg := pipeline.DefaultConfig()
//     cfg.Rejection.Stop = []int32{tok.EOS()}
//     versions, err := pipeline.Run(ctx, "run", d, cfg)
//
// Everything is in the run's folder, as Arrow datasets and model folders with their lineage. A result that is there is not made again, and
// a step that is half done goes on where it was, so a run that was stopped, by SIGKILL too, is started again by the same call and ends in the
// same bytes.
//
// Judges are two reward models behind one combined reward R_c (section 3.2.3), or one reward model, in the forms that rejection sampling and
// PPO ask for:
//
//	judges, err := pipeline.NewJudges(helpfulness, safety, pipeline.DefaultJudgesConfig())
//	candidates, err := rejection.Sample(ctx, chat, prompts, judges.Reward, rejection.DefaultConfig())
//	report, err := ppo.Train(ctx, policy, critic, prompts, heldOut, judges, ppo.DefaultConfig())
//
// # Concurrency
//
// Run and Judges are for one goroutine at a time, and a folder for one Run.
//
// # Differences from the paper
//
// The paper fine-tunes with Ghost Attention after V3 and does not say with what else; here its examples join the best answers of V4 and V5, and
// those of distillation likewise, so that later rounds do not wash them out. The paper does not say from which model a version is fine-tuned: here from the version before it (Config.FromStart: from SFT). Its
// reward models start from chat checkpoints; here from the SFT model, in all versions. Its preference batches come weekly from people; here
// each version takes its share of the prompts that it is given. Whether old samples were scored again is not said; here the newest reward
// models judge the pool.
package pipeline
