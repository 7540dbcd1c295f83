// Package backend is the border between what is to be computed and how: operators are data, and a
// Backend has the kernels.
//
// An Op is a Kind with typed attributes, the shapes of its operands and results, and the dtype of
// its numbers. Package ops puts Ops into a graph, package exec asks a Kernels for each when it
// compiles the graph, and runs what it got. A decoder, a sampler and an optimiser work outside of
// graphs; they ask the same Backend for weights in its own form (Decoding) and for arithmetic on
// vectors (Vectors).
//
// Package cpu is the default. To add a backend that computes some things otherwise, embed
// cpu.Backend and replace what differs:
//
//	type rounded struct{ cpu.Backend }
//
//	func (r rounded) Kernel(op backend.Op) (backend.Kernel, error) {
//		if op.Kind == backend.Linear && op.DType == backend.Float32 {
//			return ..., nil
//		}
//		return r.Backend.Kernel(op)
//	}
//
// # What a kernel may rely on
//
// Operands have the shapes of the Op. A kernel never writes into its operands and keeps nothing
// between calls, so one kernel may run in several programs at the same time. It allocates nothing
// once its pools are filled. Destinations that are not wanted are zero Buffers, Buffer.Add and
// Buffer.Dirty say how to treat the others.
//
// # What keeps the first ratio of PPO at exactly 1
//
// The kernels of Embed, RMSNorm, HeadNorm, Linear, Attention, SwiGLU, Add, Bias and TokenLogProbs give a row the
// bits that Decoding and Vectors.LogSumExp give it.
package backend
