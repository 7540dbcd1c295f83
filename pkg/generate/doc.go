// Package generate samples answers from a Llama: many at a time, with a key/value cache, each with its own random stream.
//
// Sampling is continuous batching: a sample takes one of Sampling.Slots places, and as soon as it ends the next one takes
// it over, so short answers never wait for long ones. A prompt is computed once for all of its samples. Converse answers whole dialogues: a place
// keeps its dialogue's keys and values from turn to turn. A Stream answers one dialogue, token by token, for people who read along.
//
// The distribution sampled from is softmax(logits / Temperature), the one that policy gradients need (Touvron et al.
// 2023, arXiv 2307.09288, section 3.2.3); top-k and top-p cut it off and renormalise it. Log-probabilities are those of
// the distribution sampled from. Without top-k and top-p they have the bits of model.Trunk.LogProbs at the same
// temperature, so the first PPO ratio is exactly 1.
//
// Legend: V vocabulary, K samples of a request.
//
//	cfg := generate.DefaultSampling()
//	cfg.MaxNewTokens = 128
//	cfg.Temperature = 0.8
//	cfg.Stop = []int32{tok.EOS()}
//	reqs := []generate.Request{{Prompt: prompt, ID: 7, Samples: 4}}
//	answers, err := generate.Generate(ctx, params, reqs, cfg)
//	if err != nil {
//		return err
//	}
//	for _, a := range answers[0] {
//		fmt.Println(tok.Decode(a.Tokens), a.Finished)
//	}
//
// # Memory
//
// Everything is allocated before the first token, and NewPlan and NewDialogPlan say how much. Keys and values take
//
//	2 · layers · (Slots+1) · (longest prompt + MaxNewTokens) · key/value heads · head width · 4 bytes
//
// with MaxNewTokens for each turn of a dialogue, and never more than the model's context (for keys, the tokens rounded up to
// a multiple of 32), which Sampling.MaxCacheBytes can bound: then fewer samples are computed at a time.
//
// # Randomness
//
// A sample's random numbers are ChaCha8 keyed by (Sampling.Seed, the ID of a Request or TurnRequest, sample index) and nothing else. A row of a
// forward pass depends on its own sequence only. So an answer is the same in any slot, in any order of the requests and
// next to any other requests.
//
// # Changed logits
//
// Sampling.Logits may change the logits of each token before temperature, top-k and top-p: it bans
// words, or keeps answers to a grammar. Ban and BanTokens are such functions. Without one the bits are
// those of the training graph, as above; with one the log-probabilities are those of the changed
// distribution.
//
// # Concurrency
//
// Generate and Converse read the weights and may run many times at once on the same ones, as long as nobody trains them meanwhile.
// One call uses several threads by itself.
//
// # Differences from the paper
//
// The paper does not give top-p, top-k or the length of answers. The defaults sample from the whole distribution at
// temperature 1, which is what PPO must do; rejection sampling picks its own temperature.
package generate
