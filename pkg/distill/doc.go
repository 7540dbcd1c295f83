// Package distill is safety context distillation (Touvron et al. 2023, section 4.2.4): a model learns to answer without a safety pre-prompt as it
// does with one.
//
// For each prompt p, such as an adversarial one, a pre-prompt c ("you are a safe and responsible assistant") is put before it as a system
// message, and two answers are sampled from the model,
//
//	g' ~ π(· | c, p)   the distilled answer,      g ~ π(· | p)   the original one.
//
// g' becomes a training example for the bare prompt p if the safety reward model R, which sees both as answers to the bare prompt, finds it
// better:
//
//	keep (p, g')   if   R(g' | p) > R(g | p).
//
// A pre-prompt is generic, or targeted at the risk category of the prompt.
//
//	pre, err := distill.Targeted(textByCategory, category)  // or distill.Generic(texts)
//	cfg := distill.DefaultConfig()
//	cfg.Stop = []int32{tok.EOS()}
//	score := func(ctx context.Context, answers []distill.Answer) ([]float64, error) { ... } // a safety reward model
//	result, err := distill.Distill(ctx, chat, template, prompts, pre, score, cfg)
//	for _, e := range result.Examples {
//		examples = append(examples, data.Example(e)) // the bare prompt, and the answer's tokens as they were sampled
//	}
//
// Mix the examples with others, such as Result.Originals and demonstrations of ordinary prompts: a model that is fine-tuned on nothing but refusals
// declines everything.
//
// # Concurrency
//
// Distill uses all processors; call it from one goroutine per model.
//
// # Differences from the paper
//
// The paper does not say how many answers are sampled, at which temperature, or what becomes of equal scores: one each at temperature 1 by default, and
// equal ones are not kept. Neither are answers that ran into the length limit. Both answers are drawn from the same stream of random numbers, keyed by
// seed, prompt and sample: where the pre-prompt changes nothing the answers are the same, so nothing is kept because a second draw was luckier, which
// would be rejection sampling. A dialogue's own system message stays behind the pre-prompt, and in the training example. The paper's answer
// templates are part of its pre-prompts for risk categories; here they are whatever text the caller gives.
package distill
