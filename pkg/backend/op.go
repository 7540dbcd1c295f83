package backend

import "fmt"

// Op is what an operator computes, without how.
type Op struct {
	Kind  Kind
	Attrs any     // the attributes of the kind: RMSNormAttrs, HeadNormAttrs, Heads, Vocab, Factor, Limits, Step or Rows; nil for kinds without
	DType DType   // of the float operands and results; Int32 where there are none
	In    [][]int // shapes of the operands
	Out   [][]int // shapes of the results, all that one call can compute
}

// Key names the kind and its attributes: operators with the same key and the same operands are
// results of one call.
func (o Op) Key() string {
	if o.Attrs == nil {
		return string(o.Kind)
	}
	return fmt.Sprintf("%s %v", o.Kind, o.Attrs)
}

// DType is an element type.
type DType int

// The element types of values.
const (
	Float32 DType = iota + 1
	Float64
	Int32
)

// String is the type's name.
func (d DType) String() string {
	switch d {
	case Float32:
		return "float32"
	case Float64:
		return "float64"
	case Int32:
		return "int32"
	}
	return fmt.Sprintf("dtype %d", int(d))
}

// NoKernelError says that a backend lacks a kernel.
type NoKernelError struct {
	Backend string
	Kind    Kind
	DType   DType
}

// Error implements error.
func (e *NoKernelError) Error() string {
	return fmt.Sprintf("backend: %s has no kernel of %q for %v", e.Backend, e.Kind, e.DType)
}

// Kind names what an operator computes. Shapes are those of package ops: N token slots, C model
// width and so on.
type Kind string

// The operators of a trunk and their gradients. Each takes a layout, or a table of rows, as one of
// its operands: the last one, but for Attention and AttentionBackward, which take the table of
// shared tokens after it.
const (
	Embed                 Kind = "embed"                    // tokens, w; layout
	EmbedBackward         Kind = "embed backward"           // tokens, dout; Rows
	RMSNorm               Kind = "rmsnorm"                  // x, w; RMSNormAttrs
	RMSNormBackward       Kind = "rmsnorm backward"         // x, w, dout; RMSNormAttrs; gives dx, dw
	Linear                Kind = "linear"                   // x, w
	LinearBackwardInput   Kind = "linear backward dx"       // w, dout
	LinearBackwardWeight  Kind = "linear backward dw"       // x, dout
	HeadNorm              Kind = "head norm"                // qkv, weights of queries, of keys; HeadNormAttrs
	HeadNormBackward      Kind = "head norm backward"       // qkv, weights of queries, of keys, dout; HeadNormAttrs; gives dqkv and those of the weights
	Attention             Kind = "attention"                // qkv, rope, layout, shared; Heads; gives out, log-sum-exp
	AttentionBackward     Kind = "attention backward"       // qkv, rope, out, log-sum-exp, dout, layout, shared; Heads
	SwiGLU                Kind = "swiglu"                   // gate and up
	SwiGLUBackward        Kind = "swiglu backward"          // gate and up, dout
	Add                   Kind = "add"                      // a, b
	Bias                  Kind = "bias"                     // x, b
	BiasBackward          Kind = "bias backward db"         // dout
	TokenLogProbs         Kind = "token log-probs"          // h, w, targets, mask, temperature; Vocab, or nil for all rows of w; gives the results LogProb to Hit
	TokenLogProbsBackward Kind = "token log-probs backward" // h, w, targets, mask, temperature, log-sum-exp, dlogp; gives dh, dw
	EntropyBackward       Kind = "entropy backward"         // h, w, targets, mask, temperature, log-sum-exp, entropy, dentropy; gives dh, dw
	ScalarHead            Kind = "scalar head"              // h, w, b
	ScalarHeadBackward    Kind = "scalar head backward"     // h, w, dout; gives dh, dw, db
	LastRows              Kind = "last rows"                // layout; gives a table of rows
	CountedRows           Kind = "counted rows"             // mask, layout; gives a table of rows
	Gather                Kind = "gather"                   // x, table
	Scatter               Kind = "scatter"                  // x, table; Rows
)

// The results of TokenLogProbs.
const (
	LogProb = iota
	LogSumExp
	Entropy
	Hit
)

// Element-wise functions of one operand, and of two of which one may be a scalar. Derivative gives
// the kinds of their gradients.
const (
	Detach     Kind = "detach"
	Scale      Kind = "scale" // Factor
	Shift      Kind = "shift" // Factor
	Square     Kind = "square"
	Sqrt       Kind = "sqrt"
	Abs        Kind = "abs"
	Clamp      Kind = "clamp" // Limits
	Exp        Kind = "exp"
	Log        Kind = "log"
	Tanh       Kind = "tanh"
	Sigmoid    Kind = "sigmoid"
	LogSigmoid Kind = "log sigmoid"
	Softplus   Kind = "softplus"

	Plus    Kind = "plus"
	Minus   Kind = "minus"
	Times   Kind = "times"
	Divide  Kind = "divide"
	Min     Kind = "min"
	Max     Kind = "max"
	Greater Kind = "greater"
	Where   Kind = "where" // x where y is not 0
)

// Sums and selections over tokens and segments.
const (
	Sum        Kind = "sum"
	MaskedSum  Kind = "masked sum"  // x, mask
	SegmentSum Kind = "segment sum" // x, mask, segments; Rows
	Spread     Kind = "spread"      // v, segments; its gradient has Rows
	Stride     Kind = "stride"      // v; Step
)

// What an executor needs in addition to the operators of package ops.
const (
	GradientSum Kind = "sum of gradients" // of two values of one shape, all elements
	Copy        Kind = "copy"             // the operand, all elements, or added with Buffer.Add
)

// Derivative is the kind of the gradient of an element-wise function, a sum or a selection. That of
// a function of one operand takes x, y and dy; of two operands x, y and dz; of others what they
// select by, and the gradient that arrives.
func (k Kind) Derivative() Kind { return k + " backward" }

// RMSNormAttrs are the attributes of RMSNorm.
type RMSNormAttrs struct {
	Eps float64 // added to the mean of the squares
}

// Heads says how the columns of packed q|k|v divide into heads.
type Heads struct {
	NumHeads   int // H, query heads
	NumKVHeads int // KV, key and value heads; divides H
	HeadDim    int // D, even
	Window     int // the number of last tokens, itself included, that a token attends to; 0: all
}

// HeadNormAttrs are the attributes of HeadNorm.
type HeadNormAttrs struct {
	Heads Heads
	Eps   float64 // added to the mean of the squares
}

// Vocab says of TokenLogProbs and its gradients that only the first N rows of w are ids that have a
// probability: a vocabulary can be padded to more.
type Vocab struct{ N int }

// Factor is the number of Scale and of Shift.
type Factor struct{ C float64 }

// Limits are those of Clamp.
type Limits struct{ Lo, Hi float64 }

// Step is that of Stride: every By-th element from Offset on.
type Step struct{ Offset, By int }

// Rows is the number of rows of a result that the operands do not tell.
type Rows struct{ N int }
