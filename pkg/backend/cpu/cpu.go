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
		k = intKernels[op.Kind]
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

// intKernels are the kernels of the kinds whose operands are all int32.
var intKernels = map[backend.Kind]backend.Kernel{
	backend.LastRows: lastRows,
	backend.Copy:     func(dst, in []backend.Buffer) { copy(dst[0].I32, in[0].I32) },
}

// makers make the kernels of all kinds but the element-wise functions, for an operator's sizes and
// attributes.
func makers[T kern.Float]() map[backend.Kind]func(op backend.Op) backend.Kernel {
	always := func(k backend.Kernel) func(backend.Op) backend.Kernel {
		return func(backend.Op) backend.Kernel { return k }
	}
	return map[backend.Kind]func(op backend.Op) backend.Kernel{
		backend.Embed:         func(op backend.Op) backend.Kernel { return embed[T](op.In[1][1]) },
		backend.EmbedBackward: func(op backend.Op) backend.Kernel { return embedBackward[T](op.In[1][1], op.Out[0][0]) },
		backend.RMSNorm:       func(op backend.Op) backend.Kernel { return rmsNorm[T](op.In[0][1], op.Attrs.(backend.RMSNormAttrs)) },
		backend.RMSNormBackward: func(op backend.Op) backend.Kernel {
			return rmsNormBackward[T](op.In[0][1], op.Attrs.(backend.RMSNormAttrs))
		},
		backend.HeadNorm:                func(op backend.Op) backend.Kernel { return headNorm[T](op.Attrs.(backend.HeadNormAttrs)) },
		backend.HeadNormBackward:        func(op backend.Op) backend.Kernel { return headNormBackward[T](op.Attrs.(backend.HeadNormAttrs)) },
		backend.Linear:                  func(op backend.Op) backend.Kernel { return linear[T](op.In[1][0], op.In[1][1]) },
		backend.LinearBackwardInput:     func(op backend.Op) backend.Kernel { return linearBackwardInput[T](op.In[0][0], op.In[0][1]) },
		backend.LinearBackwardWeight:    func(op backend.Op) backend.Kernel { return linearBackwardWeight[T](op.In[1][1], op.In[0][1]) },
		backend.Attention:               func(op backend.Op) backend.Kernel { return attention[T](shapeOf(op.Attrs.(backend.Heads))) },
		backend.AttentionBackward:       func(op backend.Op) backend.Kernel { return attentionBackward[T](shapeOf(op.Attrs.(backend.Heads))) },
		backend.SwiGLU:                  func(op backend.Op) backend.Kernel { return swiglu[T](op.Out[0][1]) },
		backend.SwiGLUBackward:          func(op backend.Op) backend.Kernel { return swigluBackward[T](op.In[1][1]) },
		backend.Add:                     func(op backend.Op) backend.Kernel { return add[T](op.In[0][1]) },
		backend.Bias:                    func(op backend.Op) backend.Kernel { return bias[T](op.In[0][1]) },
		backend.BiasBackward:            func(op backend.Op) backend.Kernel { return biasBackward[T](op.In[0][1]) },
		backend.TokenLogProbs:           func(op backend.Op) backend.Kernel { return tokenLogProbs[T](op.In[1][1], vocab(op)) },
		backend.TokenLogProbsBackward:   func(op backend.Op) backend.Kernel { return tokenLogProbsBackward[T](op.In[1][1], vocab(op)) },
		backend.EntropyBackward:         func(op backend.Op) backend.Kernel { return entropyBackward[T](op.In[1][1], vocab(op)) },
		backend.ScalarHead:              func(op backend.Op) backend.Kernel { return scalarHead[T](op.In[0][1]) },
		backend.ScalarHeadBackward:      func(op backend.Op) backend.Kernel { return scalarHeadBackward[T](op.In[0][1]) },
		backend.CountedRows:             always(countedRows[T]),
		backend.Gather:                  func(op backend.Op) backend.Kernel { return gather[T](op.In[0][1]) },
		backend.Scatter:                 func(op backend.Op) backend.Kernel { return scatter[T](op.Out[0][0], op.Out[0][1]) },
		backend.Sum:                     always(sum[T](false)),
		backend.MaskedSum:               always(sum[T](true)),
		backend.Sum.Derivative():        always(sumBackward[T](false)),
		backend.MaskedSum.Derivative():  always(sumBackward[T](true)),
		backend.SegmentSum:              always(segmentSum[T]),
		backend.SegmentSum.Derivative(): always(segmentSumBackward[T]),
		backend.Spread:                  always(spread[T]),
		backend.Spread.Derivative():     always(spreadBackward[T]),
		backend.Stride:                  func(op backend.Op) backend.Kernel { return stride[T](op.Attrs.(backend.Step)) },
		backend.Stride.Derivative():     func(op backend.Op) backend.Kernel { return strideBackward[T](op.Attrs.(backend.Step)) },
		backend.GradientSum:             always(gradientSum[T]),
		backend.Copy:                    always(copyOrAdd[T]),
	}
}

// kernel finds the kernel of an operator; nil if there is none.
func kernel[T kern.Float](op backend.Op) backend.Kernel {
	if maker := makers[T]()[op.Kind]; maker != nil {
		return maker(op)
	}
	if k := unary[T](op); k != nil {
		return k
	}
	return binary[T](op)
}

func shapeOf(h backend.Heads) kern.AttnShape {
	return kern.AttnShape{H: h.NumHeads, KV: h.NumKVHeads, D: h.HeadDim, Window: h.Window}
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
