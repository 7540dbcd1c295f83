// Package ops holds the differentiable operators of a Llama on gorgonia nodes, and an expression builder for losses.
//
// The trunk is fused: Embed, RMSNorm, HeadNorm, Linear, Bias, CausalAttention, SwiGLU, Add, TokenLogProbs, Entropy and ScalarHead
// each have a hand-written forward and backward kernel (Touvron et al. 2023, section 2.2). An operator here is data, a kind with
// attributes and shapes; the kernels are those of a backend, which pkg/exec asks when it compiles a graph. Losses are free:
// Expr builds them from element-wise operators, masked sums and segment sums over vectors of tokens (N) or segments
// (S), gorgonia.Grad differentiates through both, and pkg/exec runs the result.
//
//	x := ops.Expr(g)
//	ratio := x.Exp(x.Sub(logProbs, oldLogProbs))
//	obj := x.Min(x.Mul(ratio, advantages), x.Mul(x.Clamp(ratio, 0.8, 1.2), advantages))
//	loss := x.Neg(x.MaskedMean(obj, mask, tokens))
//	if err := x.Err(); err != nil { ... }
//	grads, err := gorgonia.Grad(loss, logProbs)
//
// # Shapes
//
// N token slots, S segments, C model width, H heads, KV key/value heads, D head width, F hidden width of the FFN, V
// vocabulary. Batches are ragged: segments are packed from slot 0, and a layout, an (S+2) int32 table, tells where they
// lie: [0] is the number s of used segments, [1+i] the first slot of segment i, and n, the number of used slots, in all
// that follow. Operators of the trunk read the used rows only, and the unused rows of their results are exactly 0,
// unless they are never read (backend.Buffer.Dirty).
// LastRows and CountedRows choose slots, Gather takes their rows and Scatter puts them back; in between, all but
// CausalAttention take the table of chosen slots as the layout.
//
// # Rules
//
// Sibling results of one kernel (attention and its log-sum-exp; the two gradients of a head) are several nodes that an executor may
// compute in one call, see Operator. There are no second derivatives: gradient operators have no derivative. Shapes that do not fit give a
// *ShapeError.
//
// # Concurrency
//
// Gorgonia graphs are built by one goroutine at a time in the whole process; kernels may run on any number.
package ops
