package backend

// Backend computes everything that a model needs: in graphs, token by token, and on plain vectors.
// Backends are comparable; two networks in one graph have the same one.
type Backend interface {
	Kernels
	Decoding
	Float32() Vectors[float32]
	Float64() Vectors[float64]
}

// Kernels has the kernels of operators in a graph.
type Kernels interface {
	// Kernel returns the kernel of an operator. An error names kind and dtype, see NoKernelError.
	Kernel(op Op) (Kernel, error)
}

// Kernel computes the results of an Op from its operands: a Buffer for each, in their order.
type Kernel func(dst, in []Buffer)

// Buffer is the memory of one value as its kernel sees it: the slice of the value's dtype, the
// others nil. The zero Buffer as a destination says that this result is not wanted.
type Buffer struct {
	F32 []float32
	F64 []float64
	I32 []int32

	// Add, of a destination, says that the result is added to what the memory holds instead of
	// overwriting it. Only the results of which Op.Adds says so, and Copy, are asked to.
	Add bool

	// Dirty, of a destination with a row for each slot, says that the rows after the used ones are
	// never read: they may keep what they hold. Otherwise they are made 0. Only operators with a
	// layout or a table of rows look at it.
	Dirty bool
}

// Wanted reports whether the buffer has memory.
func (b Buffer) Wanted() bool { return b.F32 != nil || b.F64 != nil || b.I32 != nil }

// Float are the element types of weights and activations. Training uses float32; float64 is for
// gradient checks.
type Float interface{ float32 | float64 }

// Of is the backend's arithmetic on vectors of that element type.
func Of[T Float](b Backend) Vectors[T] {
	var v any = b.Float64()
	if _, single := any(T(0)).(float32); single {
		v = b.Float32()
	}
	return v.(Vectors[T])
}

// Vectors is arithmetic on slices outside of graphs: that of optimisers, samplers and evaluation.
type Vectors[T Float] interface {
	// AdamW does one step of the optimiser: p, m and v change, g does not. All are of one length.
	AdamW(p, g, m, v []T, step AdamWStep)
	// SumSquares is the sum of the squares of x, in float64 and in a fixed order. It runs on the
	// caller's goroutine.
	SumSquares(x []T) float64
	// Temper divides logits by a temperature, as the kernel of TokenLogProbs does.
	Temper(logits []T, temperature T)
	// LogSumExp is log(sum of exp(x)) as the kernel of TokenLogProbs computes it, -Inf for an empty
	// slice.
	LogSumExp(x []T) T
	// Exp sets dst[i] = e to the x[i]. dst may be x.
	Exp(dst, x []T)
	// Max is the greatest element of x, NaN if there is a NaN, -Inf for an empty slice.
	Max(x []T) T
}

// AdamWStep are the numbers of one step of AdamW (Loshchilov and Hutter 2019, algorithm 2, in
// PyTorch's form). With g the gradient times GradScale:
//
//	m = Beta1*m + (1-Beta1)*g
//	v = Beta2*v + (1-Beta2)*g*g
//	p = p - LR*Decay*p - LR * (m/Bias1) / (sqrt(v/Bias2) + Eps)
//
// Bias1 = 1 - Beta1^t and Bias2 = 1 - Beta2^t at step t = 1, 2, ...
type AdamWStep struct {
	LR, Beta1, Beta2, Eps, Decay, Bias1, Bias2, GradScale float64
}

// Decoding is a model's forward pass on rows of float32, token by token, with weights and caches in
// the backend's own memory.
type Decoding interface {
	// Table copies w, (V, C), for looking up rows.
	Table(w []float32, v, c int) Table
	// Matrix copies w, (M, K), weights stored [out, in].
	Matrix(w []float32, m, k int) Matrix
	// Norm copies w, (C), the weights of an RMSNorm with that eps.
	Norm(w []float32, eps float64) Norm
	// HeadNorm copies the weights of queries and of keys, (D) each, of an RMSNorm of each head. Its
	// rows are those of packed q|k|v, of which values stay as they are.
	HeadNorm(q, k []float32, heads Heads, eps float64) Norm
	// Caches makes room for the keys and values of each layer, of which layers has the heads: of slots
	// sequences of up to maxLen tokens. rope, (maxLen, D), is a RotationTable, which is not changed.
	Caches(layers []Heads, slots, maxLen int, rope []float32) []Cache
	// SwiGLU sets out, (rows, F), to silu(gate) * up for gateUp, (rows, 2F).
	SwiGLU(out, gateUp []float32, rows, f int)
	// Add sets dst = a + b. dst may be a or b.
	Add(dst, a, b []float32)
}

// Table is an embedding.
type Table interface {
	// Lookup sets out, (len(tokens), C), to the rows of the tokens.
	Lookup(out []float32, tokens []int32)
}

// Matrix is the weights of a linear layer.
type Matrix interface {
	// Apply sets out, (rows, M), to x wᵀ for x, (rows, K).
	Apply(out, x []float32, rows int)
}

// Norm is an RMSNorm, of rows or of each head in them.
type Norm interface {
	// Apply sets out, (rows, C), to the normalised rows of x. out may be x.
	Apply(out, x []float32, rows int)
}

// Cache is the keys and values of one layer. Different slots may be used at the same time.
type Cache interface {
	// Append takes rows of qkv, (rows, (H+2KV) D), the tokens from position pos on: it rotates
	// queries and keys by their positions, keeps keys and values, and sets q, (rows, H D), to the
	// queries. qkv is changed.
	Append(slot, pos int, qkv, q []float32, rows int)
	// Attend sets out, (rows, H D), to the attention of the last rows of a sequence of length
	// tokens, all of them in the cache, with queries q.
	Attend(slot, length int, out, q []float32, rows int)
	// Copy makes the first n tokens of dst those of src.
	Copy(dst, src, n int)
}
