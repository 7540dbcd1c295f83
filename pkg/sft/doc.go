// Package sft is supervised fine-tuning on dialogues (Touvron et al. 2023, section 3.1).
//
// The loss is the mean negative log-likelihood of the answers' tokens,
//
//	L = -1/W Σ_i w_i log p(x_i+1 | x_≤i),
//
// where w is the weight of the next token, 1 for those of an answer and 0 for others (data.Example), and W is the sum of the
// weights in the whole optimisation batch, however it is cut into micro-batches.
//
//	examples, err := sft.Encode(template, dialogs, data.AllTurns)
//	cfg := sft.DefaultConfig()
//	report, err := sft.Train(ctx, params, examples, nil, cfg) // params change in place
//
// A custom loss is a function from LossInputs to Terms in Config.Loss; package losstest checks it without a model.
//
// # Shapes
//
// N token slots and S segments of a micro-batch, C model width.
//
// # Concurrency
//
// Train uses all processors and is for one goroutine per model.
//
// # Differences from the paper
//
// The paper concatenates all prompts and answers to fill a sequence of 4096 tokens. Here each dialogue is a segment of a
// ragged micro-batch: attention and positions restart, so packing changes nothing. The paper's special token between
// prompt and answer is the "[/INST]" of the chat format. The end of its cosine is not given: MinLRRatio.
package sft
