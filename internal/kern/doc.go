// Package kern holds the numeric kernels under the graph's operators, the decoder and pkg/blas: matrix products, attention, row
// kernels, vectors and matrices with vectors. It knows slices of numbers and sizes; shapes, errors and derivatives' bookkeeping are the
// business of pkg/ops.
//
// # Legend
//
// N token slots in one ragged micro-batch, C model width, H query heads, KV key/value heads, D head width, F hidden width
// of the feed-forward net, V vocabulary. Every matrix is row-major. Each forward kernel stands beside its backward;
// gradients are named dx, dw, dout after what they belong to, and are overwritten; those of weights may be added to instead, so that
// micro-batches need no second copy.
//
// The formulas are those of Llama 2 (Touvron et al. 2023, section 2.2): RMSNorm (Zhang and Sennrich 2019), SwiGLU
// (Shazeer 2020, equation 6), rotary positions (Su et al. 2021, section 3.2) in the layout of Hugging Face's
// rotate-half, grouped-query attention (Ainslie et al. 2023) computed in blocks (Dao et al. 2022, algorithm 1), AdamW
// (Loshchilov and Hutter 2019, algorithm 2).
//
// # Arithmetic
//
// A row of a result depends on that row of the input and the weights only (in attention: on its sequence up to it), bit for
// bit: not on the number of rows, the place in the batch, the number of threads or the width of the vectors. Three rules
// make it so. Every element of a matrix product is one chain of fused multiply-adds over k (Gemm). Every reduction along a
// row adds into sixteen virtual lanes and then along one tree (Sum, Dot). Attention cuts keys into blocks of AttnBlock counted
// from the sequence's first token, so the step that decodes one token from cached keys (AttentionFromCache) repeats the
// training forward's arithmetic exactly, and the first importance ratio of PPO is exactly 1. For the same reason a segment that continues
// another one has the bits of the whole sequence. The backward cuts queries too, into blocks of 128 counted from there.
//
// Sums over rows, that is the gradients of weights, run in slot order; threads share columns, not rows. The same
// micro-batch therefore gives the same bits on any number of threads.
//
// The kernels are generic over float32 and float64. float32 takes the assembly where it pays; the float64 path exists for
// gradient checks. The build tag purego turns the assembly off; results of products and exponentials then differ in the last bits,
// because portable Go has no float32 fused multiply-add. Everything else rounds products before it adds them, in assembly too.
//
// # Use
//
//	rope := backend.RoPETable[float32](maxLen, d, 10000) // of pkg/backend
//	sh := kern.AttnShape{H: 4, KV: 2, D: 32}
//	kern.RMSNorm(xn, x, w, n, c, 1e-5)
//	kern.Gemm(false, true, n, (sh.H+2*sh.KV)*sh.D, c, 1, xn, c, wqkv, c, 0, qkv, (sh.H+2*sh.KV)*sh.D)
//	kern.Attention(out, lse, qkv, rope, layout, nil, sh) // nil: every segment is a sequence of its own
//
// and a decoder, for the token at position pos, with a cache of kern.KeyCacheLen(maxLen, sh) numbers:
//
//	kern.RoPE(q, sh.H, sh.D, rope[pos*sh.D:][:sh.D])
//	kern.RoPE(k, sh.KV, sh.D, rope[pos*sh.D:][:sh.D])
//	kern.CacheKey(keys, pos, k, sh)
//	kern.AttentionFromCache(out, q, keys, values, 1, pos+1, sh)
//
// # Concurrency
//
// All functions may be called at the same time on different destinations. Those that say so use up to GOMAXPROCS goroutines
// and return when all pieces are done, see internal/parallel. Scratch memory and the states of loops come from pools, so kernels allocate nothing once these are filled; what a call takes is bounded by its sizes.
//
// # Panics
//
// A slice that is too short makes a kernel panic (index out of range): callers check shapes first. Results of valid calls are
// never undefined: NaN and infinities propagate along their row as IEEE 754 has it.
package kern
