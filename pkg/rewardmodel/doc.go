// Package rewardmodel trains reward models on human preferences (Touvron et al. 2023, section 3.2.2).
//
// A reward model is a Llama with a scalar head that is read at the last token of prompt and answer. It minimises the
// ranking loss with a margin by how much better the chosen answer was,
//
//	L = -log σ(r(x, chosen) - r(x, rejected) - m(rating)),
//
// and the safety model an auxiliary classification loss on safe and unsafe answers besides. Helpfulness and safety have
// a model each, because they disagree.
//
//	rm := chat.Clone() // start from a chat checkpoint
//	rm.AddHead(rng)
//	pairs, err := rewardmodel.Encode(template, preferences)
//	safety, helpfulness := rewardmodel.BySet(pairs, data.SafetySet)
//	forHelpfulness, forSafety := rewardmodel.Mixes(helpfulness, safety, nil, seed)
//	report, err := rewardmodel.Train(ctx, rm, forHelpfulness, nil, rewardmodel.DefaultConfig())
//	scorer, err := rewardmodel.NewScorer(rm, 4096, 64)
//	eval, err := rewardmodel.Evaluate(ctx, scorer, heldOut) // accuracy per rating, recall of unsafe answers
//	level, err := rewardmodel.CalibratePairs(ctx, scorer, pairs, rewardmodel.DefaultCalibration()) // a helpfulness model's level
//
// A custom loss is a function from LossInputs to Terms in Config.Loss; package losstest checks it without a model.
//
// # Shapes
//
// N token slots and S segments of a micro-batch; a pair is two segments that follow each other, P = S/2 pairs. The first one
// is the chosen answer with its prompt, the second one what the rejected answer does not share with it (data.Ragged).
//
// # Concurrency
//
// Train uses all processors and is for one goroutine per model; a Scorer is for one goroutine at a time.
//
// # Differences from the paper
//
// The formula and the weight of the auxiliary loss are not in the paper: binary cross-entropy on
// both scores, Config.SafetyWeight. Which margin set the released models use is not said:
// LargeMargin. Holding out 1000 examples of every batch of annotations is left to the caller:
// Evaluate takes any pairs. "Equal parts" of safety and open data in the helpfulness mix is read as
// one draw from both together (HelpfulnessMix).
// The ranking loss leaves the level of the scores open, and the paper does not say how helpfulness
// scores become comparable with the gate at 0.15: Calibration.
package rewardmodel
