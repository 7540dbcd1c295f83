// Package pretrain trains a model from scratch on text (Touvron et al. 2023, section 2.2).
//
// The loss is the mean negative log-likelihood of every token but the first of a document,
//
//	L = -1/T Σ_i log p(x_i+1 | x_≤i).
//
// Documents are BOS, the text's ids and EOS. One that is longer than the context is cut into windows.
//
//	docs := pretrain.Encode(tok, texts)
//	cfg := pretrain.DefaultConfig()
//	cfg.Steps = 2000
//	report, err := pretrain.Train(ctx, params, docs, nil, cfg) // params change in place
//
// TrainStream reads text that is larger than memory.
//
// # Concurrency
//
// Train uses all processors and is for one goroutine per model.
//
// # Differences from the paper
//
// Documents are segments of a ragged micro-batch, so none attends to the one before it. The paper's batch of 4M tokens
// and its 2000 warm-up steps are the defaults; small models want less of both.
package pretrain
