package ops

import (
	"fmt"
	"strings"
	"unsafe"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/internal/kern"
)

// ShapeError says which argument of which operator has a shape or dtype that does not fit.
type ShapeError struct {
	Op   string       // operator, for example "attention"
	Arg  string       // argument, for example "qkv"
	Want string       // for example "(N, (H+2KV)D) with N = 64, (H+2KV)D = 96"
	Got  tensor.Shape // what the argument has
	Of   string       // its dtype
}

// Error implements error.
func (e *ShapeError) Error() string {
	return fmt.Sprintf("ops: %s: %s is %v %s, want %s", e.Op, e.Arg, e.Got, e.Of, e.Want)
}

func f32Scalar(v *gorgonia.F32) []float32 { return unsafe.Slice((*float32)(v), 1) }
func f64Scalar(v *gorgonia.F64) []float64 { return unsafe.Slice((*float64)(v), 1) }

// data gives the buffer's slice of the kernel's element type.
func data[T kern.Float](b Buffer) []T {
	var zero T
	if _, ok := any(zero).(float32); ok {
		return *(*[]T)(unsafe.Pointer(&b.F32))
	}
	return *(*[]T)(unsafe.Pointer(&b.F64))
}

// clearFrom zeroes the unused rows of a result, where somebody reads them.
func clearFrom[T kern.Float](dst Buffer, from int) {
	if !dst.Loose && dst.Wanted() {
		clear(data[T](dst)[from:])
	}
}

func dtypeOf(t hm.Type) (tensor.Dtype, error) {
	switch t := t.(type) {
	case tensor.Dtype:
		return t, nil
	case gorgonia.TensorType:
		return dtypeOf(t.Of)
	}
	return tensor.Dtype{}, fmt.Errorf("ops: no dtype in type %v", t)
}

// typeFor is the gorgonia type of a value of that dtype and number of dimensions.
func typeFor(dt tensor.Dtype, dims int) hm.Type {
	if dims == 0 {
		return dt
	}
	return gorgonia.TensorType{Dims: dims, Of: dt}
}

// sig collects the arguments of an operator while they are checked.
type sig struct {
	op    string
	dt    tensor.Dtype
	nodes []*gorgonia.Node
	types []hm.Type
	rows  []bool // arguments of which the used rows alone are read
	by    int    // the argument that says which rows are used, -1 if there is none
	err   error
}

func newSig(op string) *sig { return &sig{op: op, by: -1} }

// float adds an argument of the operator's float dtype. want holds the expected extents, -1 for any.
func (s *sig) float(name string, n *gorgonia.Node, want ...int) []int {
	if s.err == nil && n != nil && s.dt.Type == nil {
		if dt, err := dtypeOf(n.Type()); err == nil && (dt == tensor.Float32 || dt == tensor.Float64) {
			s.dt = dt
		}
	}
	return s.arg(name, n, s.dt, want)
}

// perRow adds a float argument with a row for each slot, of which the kernel reads the used ones alone.
func (s *sig) perRow(name string, n *gorgonia.Node, want ...int) []int {
	extents := s.float(name, n, want...)
	if s.err == nil {
		s.rows[len(s.rows)-1] = true
	}
	return extents
}

// used adds the layout, or the table of rows, that says which rows are used.
func (s *sig) used(name string, table *gorgonia.Node, want int) int {
	extents := s.ints(name, table, want)
	if s.err == nil {
		s.by = len(s.nodes) - 1
	}
	return extents[0]
}

// ints adds an int32 argument.
func (s *sig) ints(name string, n *gorgonia.Node, want ...int) []int {
	return s.arg(name, n, tensor.Int32, want)
}

func (s *sig) arg(name string, n *gorgonia.Node, dt tensor.Dtype, want []int) []int {
	free := make([]int, max(len(want), 2))
	if s.err != nil {
		return free
	}
	if n == nil {
		s.err = fmt.Errorf("ops: %s: %s is nil", s.op, name)
		return free
	}
	shape := n.Shape()
	got, err := dtypeOf(n.Type())
	ok := err == nil && got == dt && len(shape) == len(want)
	for i := 0; ok && i < len(want); i++ {
		ok = want[i] < 0 || want[i] == shape[i]
	}
	if !ok {
		s.err = &ShapeError{Op: s.op, Arg: name, Want: describe(want, dt), Got: shape, Of: got.String()}
		return free
	}
	s.nodes = append(s.nodes, n)
	s.types = append(s.types, typeFor(dt, len(shape)))
	s.rows = append(s.rows, false)
	copy(free, shape)
	return free
}

func describe(want []int, dt tensor.Dtype) string {
	dims := make([]string, len(want))
	for i, w := range want {
		dims[i] = fmt.Sprint(w)
		if w < 0 {
			dims[i] = "any"
		}
	}
	name := "float32 or float64"
	if dt.Type != nil {
		name = dt.String()
	}
	return fmt.Sprintf("(%s) %s", strings.Join(dims, ", "), name)
}

// build makes result i of a kernel with `of` results.
func (s *sig) build(key string, i, of int, shape tensor.Shape, run kernel, diff []bool, grad gradient) (*gorgonia.Node, error) {
	if s.err != nil {
		return nil, s.err
	}
	if diff == nil {
		diff = make([]bool, len(s.nodes))
	}
	o := &operator{
		key: key, result: i, of: of,
		in: s.types, out: typeFor(s.dt, len(shape)), shape: shape,
		rows: s.rows, table: s.by, diff: diff, grad: grad, run: run,
	}
	return apply(o, s.nodes...)
}

// pick chooses the kernel of the dtype.
func (s *sig) pick(f32, f64 kernel) kernel {
	if s.dt == tensor.Float32 {
		return f32
	}
	return f64
}
