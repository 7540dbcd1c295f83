// Package model is Llama 2 and the models like it: their shape, weights, graph for training, decoder for sampling, and files.
//
// It implements section 2.2 of Touvron et al. 2023 (arXiv 2307.09288): a pre-norm decoder with RMSNorm, rotary positions, SwiGLU and
// multi-head, grouped-query or multi-query attention, without biases and dropout; and the scalar head of section 3.2.2, by which a reward
// model or a value function is made of it.
//
//	x = embed[token];  per layer  x += attn_out(attention(qkv(norm(x)))),  x += down(silu(gate(norm(x))) * up(norm(x)));  h = norm(x)
//
// Config.Family chooses what else a model has: Llama 3's scaled rotary positions (Config.Rope), Mistral's window (Config.Window), Qwen2's
// biases on queries, keys and values, Qwen3's norm of each of their heads. docs/models.md has the table of families.
//
// # Legend
//
// N token slots and S segments of a ragged micro-batch (package data), C width (Dim), H query heads, KV key/value heads, D head width, F
// hidden width of the feed-forward net, V vocabulary. Matrices are stored (out, in).
//
// # Use
//
//	p, err := model.Load("llama")                          // weights
//	in := model.NewInputs(p.DType(), 4096, 64)             // graph inputs: 4096 token slots, 64 segments
//	trunk, err := model.NewTrunk(in, p, "policy")
//	logp, err := trunk.LogProbs()                          // (N) log p(next token)
//	x := ops.Expr(in.G)
//	loss := x.Neg(x.MaskedMean(logp, in.Mask, in.Scalar("tokens")))
//	grads, err := gorgonia.Grad(loss, trunk.ParamNodes()...)
//	prog, err := exec.Compile(append(grads, loss), exec.Options{})
//	err = trunk.Bind(prog)                                 // weights in place
//	feed, err := in.NewFeed(prog)
//	err = feed.Load(batch, map[string]float64{"tokens": float64(batch.Counted())})
//	err = prog.Run(ctx)
//
// Package train does the last five lines, and the optimisation step, for you.
//
// # One arithmetic
//
// A Decoder's logits have the bits of the float32 graph's forward pass: the kernels and their order are the same, and a row's result
// depends on that row's own sequence only. Log-probabilities of a sample are therefore exactly those that training starts from.
//
// # Files
//
// Load reads folders in Hugging Face layout (config.json, model.safetensors or shards with an index; F32, F16, BF16), folders as Meta ships
// Llama (params.json, consolidated.00.pth), GGUF files of llama.cpp and llama2.c files (.bin, version 0); Save, SaveMeta, SaveGGUF and
// SaveLlama2C write them. Inside, rotary positions turn the halves of a head (columns i and i+D/2), as Hugging Face has it; the
// neighbouring pairs of the other forms are put into that order when they are read. A scalar head is
// stored as score.weight, the name that LlamaForSequenceClassification has for it, and its bias, which that class does not
// have, as score.bias and in config.json as score_bias: scores there plus score_bias are the scores here. SaveAs writes F16 and BF16,
// and several files. Settings that describe something that is not computed here are refused by name, with what to do.
//
// Which weights a model has, and under which names and in which rows each format has them, is in one table, arch.Llama; the packages under
// internal have the formats. A weight that a format has no name for is refused by name when it is written, and so is a field of Config
// that does not come back when what was written is decoded again.
//
// # Further weights
//
// Params.Add adds a weight that no Llama has: a custom head, an adapter. It is after the table's weights in Params.All and
// Trunk.ParamNodes, so a Step trains it; a loss computes with its node. Clone, As and CopyFrom keep it. Save writes it as F32 into
// further.safetensors next to model.safetensors, where Load finds it again, with its decay: checkpoints of package train lose nothing. Other
// programs do not know that file. SaveConfig.Further false, and every other format, refuses such weights by name; Params.Drop removes them.
//
// # Concurrency
//
// Nothing here locks. Params may be read by any number of programs and decoders at once while nobody writes them. Inputs, and the trunks
// on them, are built by one goroutine, and gorgonia allows no two graphs to be built at the same time. A Feed, a program and a Decoder belong
// to one goroutine each; a Decoder has its own copy of the weights.
//
// # Allocation
//
// Feed.Load allocates nothing. A Decoder allocates everything when it is made, DecoderBytes says how much. Its first steps fill the
// pools of the kernels' scratch memory; from then on a step allocates nothing, but for what the garbage collector took from the pools.
//
// # Differences from the paper
//
//   - The paper does not say how weights are initialised, nor how the scalar head looks. Params.Init does as GPT-2 did, with
//     deviation 0.02 and residual outputs scaled down; Params.AddHead draws weights with variance 1/(C+1), as Stiennon et al. 2020, or
//     zeros for a value function. The head has a bias.
//   - Queries, keys and values are one matrix here, gate and up another, so that a backward pass runs once; files hold them apart.
//   - Output weights may be shared with the embedding (TieEmbeddings), which Llama 2 does not do and small models do.
package model
