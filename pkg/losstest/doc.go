// Package losstest tests losses without a model: evaluate one on a few numbers, check its gradient, its mask and its sum
// over micro-batches, as testing/fstest does for file systems.
//
// A loss is a function from named nodes to train.Terms, such as a ppo.Loss, which takes ppo.LossInputs (Touvron et al.
// 2023, sections 3.1, 3.2.2 and 3.2.3 give those of the paper). Any struct with fields of type *gorgonia.Node will do:
// the columns of a Case find the fields by their names.
//
//	func TestMyLoss(t *testing.T) {
//		rng := rand.New(rand.NewPCG(1, 2))
//		c := losstest.RandomPPO(rng, 4, 8) // 4 segments of at most 8 tokens
//		losstest.CheckGrad(t, myLoss, c)   // symbolic against central differences
//		losstest.CheckMask(t, myLoss, c)   // NaN behind the mask changes nothing
//		losstest.CheckSplit(t, myLoss, c)  // micro-batches add up to the batch
//
//		got, err := losstest.Eval(myLoss, losstest.Case{
//			Segments: []int32{0, 0, 0}, // one segment of three tokens
//			Token:    map[string][]float64{"LogProbs": {-1, -2, 0}, "Mask": {1, 1, 0}},
//			Wrt:      []string{"LogProbs"},
//		})
//		require.NoError(t, err)
//		assert.InDelta(t, 1.5, got.Loss, 1e-12)
//	}
//
// Losses are evaluated in float64, and by CheckMask in float32 too, as training does.
//
// Legend: N token slots, S segments, P groups (segments that share a micro-batch, such as a pair), C model width.
//
// # Concurrency
//
// Gorgonia builds graphs in one goroutine at a time: tests that use this package must not run in parallel with others of
// the same process that build graphs.
package losstest
