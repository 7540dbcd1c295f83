// Package rejection is rejection sampling (Touvron et al. 2023, section 3.2.3, figures 7 and 8): K answers per prompt
// are sampled from the newest model, the one with the highest reward becomes the new gold answer, and the model is
// fine-tuned on those.
//
//	temperature, points, err := rejection.Tune(ctx, model, prompts, reward, cfg, []float64{0.7, 1, 1.3})
//	candidates, err := rejection.Sample(ctx, model, prompts, reward, cfg)
//	winners := rejection.Best(append(pool, candidates...)) // the pool of earlier versions takes part from RLHF-V4 on
//	// w.Example() of every winner, its prompt and answer, is an example for package sft.
//
// # Concurrency
//
// Functions use all processors; call them from one goroutine per model.
//
// # Differences from the paper
//
// The paper gives neither K nor top-p nor the number of prompts: Config. Answers that were cut off by the length limit
// are never chosen; a prompt without a finished answer has no winner. On equal rewards the newest version wins, then the
// first sample, so that a pool and its parts give the same winners in every run. Tune does not tell temperatures apart whose rewards
// differ by less than a standard error.
package rejection
