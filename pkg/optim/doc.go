// Package optim is what turns gradients into weights: AdamW, clipping by the global norm, and learning-rate schedules.
//
// It follows section 2.2 of Touvron et al. 2023 (arXiv 2307.09288): AdamW (Loshchilov and Hutter, arXiv 1711.05101)
// with betas 0.9 and 0.95, eps 1e-5, weight decay 0.1, gradients clipped at a global norm of 1.0, and a cosine schedule
// that warms up linearly and ends at a tenth of its peak. PPO (section 3.2.3) keeps a constant rate.
//
// Legend: p parameter, g gradient, m and v running means of g and of its square, t steps done, s step counted from 0.
//
//	opt := optim.DefaultAdamW()
//	schedule := optim.Cosine{Peak: 3e-4, Min: 3e-5, Warmup: 2000, Total: 500_000}
//	params := []optim.Param{{Name: "w", Value: w, Decay: true}, {Name: "norm", Value: norm}}
//	if err := opt.Init(params); err != nil { // makes the moments
//		return err
//	}
//	for s := 0; s < schedule.Total; s++ {
//		grads := backward() // []*tensor.Dense, shaped like params
//		norm, err := optim.GlobalNorm(nil, grads) // nil: the CPU
//		if err != nil {
//			return err
//		}
//		if err := opt.Step(params, grads, schedule.LR(s), optim.ClipScale(norm, 1)); err != nil {
//			return err
//		}
//	}
//
// State hands out the moments for a checkpoint and Restore takes them back: a restored optimiser resumes with the same bits.
//
// # Concurrency
//
// An AdamW belongs to one goroutine at a time. Its passes over large tensors use several threads; the bits do not
// depend on how many. Schedules and the functions keep no state.
//
// # Differences from the paper
//
// The paper does not say which tensors decay. As everybody does, only matrices decay (Param.Decay), norms and biases
// do not. The paper does not give the eps of the clipping factor either; this is PyTorch's max/(norm+1e-6).
package optim
