// Package tame is the root of Llama 2's training pipeline in Go. It holds no code: the packages are below pkg/.
//
// Start with the example of this package, with examples/quickstart, or with the package of the stage you are interested in:
// pretrain, sft, rewardmodel, rejection, ppo, gatt and distill. Each works on plain slices, and is
// configured by a value struct whose DefaultConfig holds the paper's values. Those that train change
// model.Params in place; sft, rewardmodel and ppo take a custom loss as a function.
//
//	pkg/model      Llama: shapes, weights, graph, decoding, files
//	pkg/ops        differentiable operators, and ops.Expr for losses
//	pkg/losstest   tests of losses without a model
//	pkg/train      the training loop, optimisation steps and checkpoints, for custom stages
//	pkg/generate   sampling
//	pkg/pipeline   the iteration V1 to V5 over all stages
//	pkg/run        identities of runs that are resumed
//	pkg/backend    operators as data, and what computes them
//	pkg/data       Arrow datasets, chat format, ragged batches
//	pkg/importer   datasets from other people's files
//	pkg/curate     deduplication, filters, splits, mixtures
//	pkg/tokenizer  SentencePiece-compatible BPE
package tame
