// Package cpu is the default backend: the kernels of internal/kern in float32 and float64, in
// memory of the Go program.
//
// float32 takes assembly where it pays; float64 is for gradient checks. Results do not depend on
// the number of threads, the place in a batch or the vector width: docs/numerics.md.
package cpu

import (
	"fmt"
	"unsafe"

	"github.com/tame-rlhf/tame/internal/kern"
	"github.com/tame-rlhf/tame/pkg/backend"
)

// Backend is the CPU. The zero value is ready for use by any number of goroutines.
type Backend struct{}

var _ backend.Backend = Backend{}

// Kernel implements backend.Kernels.
func (Backend) Kernel(op backend.Op) (k backend.Kernel, err error) {
	defer func() { // shapes or attributes that are not those of the kind
		if r := recover(); r != nil {
			err = fmt.Errorf("backend: cpu: %q for %v: %v", op.Kind, op.DType, r)
		}
	}()
	switch {
	case op.DType == backend.Int32:
		k = intKernel(op.Kind)
	case op.DType == backend.Float32:
		k = kernel[float32](op)
	case op.DType == backend.Float64:
		k = kernel[float64](op)
	}
	if k == nil {
		return nil, &backend.NoKernelError{Backend: "cpu", Kind: op.Kind, DType: op.DType}
	}
	return k, nil
}

// intKernel finds the kernel of a kind whose operands are all int32; nil if there is none.
func intKernel(kind backend.Kind) backend.Kernel {
	switch kind {
	case backend.LastRows:
		return lastRows
	case backend.Copy:
		return func(dst, in []backend.Buffer) { copy(dst[0].I32, in[0].I32) }
	}
	return nil
}

// kernel finds the kernel for the operator's sizes and attributes; nil if there is none.
func kernel[T kern.Float](op backend.Op) backend.Kernel {
	switch op.Kind {
	case backend.Embed:
		return embed[T](op.In[1][1])
	case backend.EmbedBackward:
		return embedBackward[T](op.In[1][1], op.Out[0][0])
	case backend.RMSNorm:
		return rmsNorm[T](op.In[0][1], op.Attrs.(backend.RMSNormAttrs))
	case backend.RMSNormBackward:
		return rmsNormBackward[T](op.In[0][1], op.Attrs.(backend.RMSNormAttrs))
	case backend.Linear:
		return linear[T](op.In[1][0], op.In[1][1])
	case backend.LinearBackwardInput:
		return linearBackwardInput[T](op.In[0][0], op.In[0][1])
	case backend.LinearBackwardWeight:
		return linearBackwardWeight[T](op.In[1][1], op.In[0][1])
	case backend.Attention:
		return attention[T](shapeOf(op.Attrs.(backend.Heads)))
	case backend.AttentionBackward:
		return attentionBackward[T](shapeOf(op.Attrs.(backend.Heads)))
	case backend.SwiGLU:
		return swiglu[T](op.Out[0][1])
	case backend.SwiGLUBackward:
		return swigluBackward[T](op.In[1][1])
	case backend.Add:
		return add[T](op.In[0][1])
	case backend.Bias:
		return bias[T](op.In[0][1])
	case backend.BiasBackward:
		return biasBackward[T](op.In[0][1])
	case backend.TokenLogProbs:
		return tokenLogProbs[T](op.In[1][1], op.In[1][0])
	case backend.TokenLogProbsBackward:
		return tokenLogProbsBackward[T](op.In[1][1], op.In[1][0])
	case backend.EntropyBackward:
		return entropyBackward[T](op.In[1][1], op.In[1][0])
	case backend.ScalarHead:
		return scalarHead[T](op.In[0][1])
	case backend.ScalarHeadBackward:
		return scalarHeadBackward[T](op.In[0][1])
	case backend.CountedRows:
		return countedRows[T]
	case backend.Gather:
		return gather[T](op.In[0][1])
	case backend.Scatter:
		return scatter[T](op.Out[0][0], op.Out[0][1])
	case backend.Sum, backend.MaskedSum:
		return sum[T](op.Kind == backend.MaskedSum)
	case backend.Sum.Derivative(), backend.MaskedSum.Derivative():
		return sumBackward[T](op.Kind == backend.MaskedSum.Derivative())
	case backend.SegmentSum:
		return segmentSum[T]
	case backend.SegmentSum.Derivative():
		return segmentSumBackward[T]
	case backend.Spread:
		return spread[T]
	case backend.Spread.Derivative():
		return spreadBackward[T]
	case backend.Stride:
		return stride[T](op.Attrs.(backend.Step))
	case backend.Stride.Derivative():
		return strideBackward[T](op.Attrs.(backend.Step))
	case backend.GradientSum:
		return gradientSum[T]
	case backend.Copy:
		return copyOrAdd[T]
	}
	if k := unary[T](op); k != nil {
		return k
	}
	return binary[T](op)
}

func shapeOf(h backend.Heads) kern.AttnShape {
	return kern.AttnShape{H: h.NumHeads, KV: h.NumKVHeads, D: h.HeadDim}
}

// data gives the buffer's slice of the kernel's element type.
func data[T kern.Float](b backend.Buffer) []T {
	var zero T
	if _, ok := any(zero).(float32); ok {
		return *(*[]T)(unsafe.Pointer(&b.F32))
	}
	return *(*[]T)(unsafe.Pointer(&b.F64))
}

// clearFrom zeroes the unused rows of a result, where somebody reads them.
func clearFrom[T kern.Float](dst backend.Buffer, from int) {
	if !dst.Dirty && dst.Wanted() {
		clear(data[T](dst)[from:])
	}
}

// A layout is the (S+2) int32 table that says where the segments of a ragged batch are: [0] is the
// number s of used segments, [1+i] the first slot of segment i, and [1+i] for i >= s the number n
// of used slots.

// used gives the used slots of a layout, or the rows of a table.
func used(layout []int32) int { return int(layout[len(layout)-1]) }
