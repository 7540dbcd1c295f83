// Package train runs optimisation steps: bind a micro-batch, run the graph, add up gradients, clip, step. It knows no
// algorithm; the packages pretrain, sft, rewardmodel and ppo build their losses and call it.
//
// The optimiser is that of section 2.2 of Touvron et al. 2023 (arXiv 2307.09288), see package optim. A Step is made of the
// inputs, the Terms of a loss built on them and the networks to train; NewStep differentiates and compiles once, and Run
// does one step over a batch that is cut into micro-batches to fit into memory.
//
//	in := model.NewInputs(tensor.Float32, 2048, 32) // N token slots, S segments
//	trunk, err := model.NewTrunk(in, params, "policy")
//	logp, err := trunk.LogProbs() // (N)
//	x := ops.Expr(in.G)
//	loss := x.Neg(x.MaskedMean(logp, in.Mask, in.Scalar(train.ScalarTokens)))
//	step, err := train.NewStep(in, train.Terms{Loss: loss}, []train.Network{{
//		Name: "policy", Trunk: trunk, Optim: optim.DefaultAdamW(),
//		Schedule: optim.Cosine{Peak: 2e-5, Min: 2e-6, Warmup: 10, Total: 500}, MaxGradNorm: 1,
//	}}, train.Options{})
//	for batch := range batches { // []*data.Ragged
//		r, err := step.Run(ctx, batch) // r.Loss, r.GradNorm["policy"], r.LR["policy"]
//	}
//
// Fit is the loop around it: of pretraining, SFT, reward models, and of a custom stage. It takes a Task (where items come
// from, how one is put into a micro-batch, the loss) and Settings, which a stage embeds in its Config. Package traintest
// tests a stage.
//
//	batches, err := train.NewEpochs(pairs, 64, seed)
//	report, err := train.Fit(ctx, params, train.Task[Pair]{
//		Stage: "dpo", Config: cfg, Data: pairs, Steps: batches.Steps(), Source: batches,
//		Lengths: lengths, // tokens of each segment of a pair
//		Add:     add,     // puts a pair into a micro-batch
//		Loss:    loss,    // func(train.Graph) (train.Terms, error)
//	}, cfg.Settings)
//
// # Batches and micro-batches
//
// The gradient of a batch does not depend on how it is cut. A loss is a sum over its micro-batch divided by a count of the
// whole batch, which Run puts into the scalar inputs ScalarTokens (counted tokens), ScalarWeight (the sum of their weights) and ScalarSeqs (segments). Gradients,
// losses and metrics of the micro-batches are added in their order. The same micro-batches give the same bits on any number
// of threads; another cut agrees up to rounding.
//
// # Errors
//
// A step that fails has changed nothing, whether its context was cancelled or its loss is not finite. A *NonFiniteError
// names the operator that made the first NaN or Inf: the micro-batch is run once more, every result looked at.
//
// # Checkpoints
//
// SaveCheckpoint writes a model folder with a folder trainer in it, all or nothing. A stage that restores its Step, its
// position in the data and its random sources from it resumes with the same bits.
//
// # Allocation
//
// From its second call on, Run allocates nothing: the maps of its Result are used again, and the gradients of micro-batches are
// added up where the program computes them, so that memory does not depend on how many there are. Step.Memory tells how much it
// is. Options.Recompute keeps the intermediates of one layer instead of all, for up to a third more time.
//
// # Concurrency
//
// A Step, a Forward and a Recorder belong to one goroutine at a time. A Forward may run beside another one over the same
// weights, but not beside a Step that changes them. Graphs are built in one goroutine at a time: NewStep, NewForward and all
// that builds the loss.
//
// # Differences from the paper
//
// The paper gives the clipping norm but not what it is taken over: here it is the global norm of all gradients of one
// network. Weights that the loss does not depend on get neither gradient nor decay.
package train
