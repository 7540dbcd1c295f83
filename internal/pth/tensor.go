package pth

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
)

// Tensor is one of the named tensors of a file.
type Tensor struct {
	Name string
	// DType is F32, F16 or BF16.
	DType string
	// Shape has the outermost dimension first; the numbers lie row by row.
	Shape []int

	storage storage
	offset  int64 // of the first number in the storage
	elems   int64
}

// Shares says whether two tensors of a file are the same numbers.
func (t Tensor) Shares(o Tensor) bool {
	return t.storage.key == o.storage.key && t.offset == o.offset && t.elems == o.elems
}

// dtypeBytes is the size of a number.
func dtypeBytes(dtype string) int64 {
	if dtype == "F32" {
		return 4
	}
	return 2
}

const maxDims = 8

// rebuildTensor reads the arguments of torch._utils._rebuild_tensor_v2: storage, offset, shape, strides, and what has to do with gradients.
func rebuildTensor(args tuple) (*Tensor, error) {
	if len(args) < 4 {
		return nil, fmt.Errorf("a tensor of %d parts: the file is damaged", len(args))
	}
	s, okStorage := args[0].(storage)
	offset, okOffset := args[1].(int64)
	shape, okShape := integers(args[2])
	strides, okStrides := integers(args[3])
	if !okStorage || !okOffset || !okShape || !okStrides || len(shape) != len(strides) {
		return nil, errors.New("a tensor without storage, offset, shape and strides: the file is damaged")
	}
	t := &Tensor{DType: s.dtype, Shape: make([]int, len(shape)), storage: s, offset: offset, elems: 1}
	for i := len(shape) - 1; i >= 0; i-- {
		d := shape[i]
		if d < 0 || d > math.MaxInt32 {
			return nil, fmt.Errorf("a tensor of shape %v: the file is damaged", shape)
		}
		if d != 1 && strides[i] != t.elems && t.elems != 0 {
			return nil, fmt.Errorf("a tensor of shape %v with strides %v: only numbers that lie row by row are read, save it with .contiguous()", shape, strides)
		}
		hi, lo := bits.Mul64(uint64(t.elems), uint64(d))
		if hi != 0 || lo > math.MaxInt64/8 {
			return nil, fmt.Errorf("a tensor of shape %v is too large", shape)
		}
		t.elems, t.Shape[i] = int64(lo), int(d)
	}
	if offset < 0 || offset > s.elems || t.elems > s.elems-offset {
		return nil, fmt.Errorf("a tensor of shape %v from number %d on, in a storage of %d: the file is damaged", shape, offset, s.elems)
	}
	return t, nil
}

// integers reads a short tuple of integers. Other values must not get into errors: a tuple of tuples may print as more than there is memory.
func integers(v any) ([]int64, bool) {
	list, ok := v.(tuple)
	if !ok || len(list) > maxDims {
		return nil, false
	}
	out := make([]int64, len(list))
	for i, v := range list {
		if out[i], ok = v.(int64); !ok {
			return nil, false
		}
	}
	return out, true
}
