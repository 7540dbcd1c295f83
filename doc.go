// Package tame is the root of Llama 2's training pipeline in Go. It holds no code: the packages are below pkg/.
//
// Start with the example of this package, with examples/quickstart, or with the package of the stage you are interested in:
// pretrain, sft, rewardmodel, rejection and ppo. Each trains model.Params in place on plain slices, is configured by a
// value struct whose DefaultConfig holds the paper's values, and takes a loss of one's own as a function.
//
//	pkg/model      Llama: shapes, weights, graph, decoding, files
//	pkg/ops        differentiable operators, and ops.Expr for losses
//	pkg/losstest   tests of losses without a model
//	pkg/train      optimisation steps and checkpoints, for trainers of one's own
//	pkg/generate   sampling
//	pkg/data       Arrow datasets, chat format, ragged batches
//	pkg/importer   datasets from other people's files
//	pkg/curate     deduplication, filters, splits, mixtures
//	pkg/tokenizer  SentencePiece-compatible BPE
package tame
