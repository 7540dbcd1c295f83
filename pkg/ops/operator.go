package ops

import (
	"errors"
	"fmt"
	"hash"
	"hash/fnv"
	"io"
	"slices"
	"unsafe"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/backend"
	"github.com/tame-rlhf/tame/pkg/backend/cpu"
)

// Operator is an operator of this package on a node: data, of which an executor makes a plan, and
// for which a backend has the kernel. Operators with the same Op.Key and the same operands are the
// results of one call of the kernel.
type Operator struct {
	Op     backend.Op // kind, attributes, dtype and shapes
	Result int        // which of the kernel's results the node is
	Adds   bool       // this result can be added to what its destination holds, see backend.Buffer.Add

	Table     int    // the operand, a layout or a table of rows, that says which rows are used; -1 if there is none
	ReadsUsed []bool // the operands of which the used rows alone are read

	types []hm.Type // of the operands
	out   hm.Type   // of this result
	diff  []bool    // operands that get a gradient
	grad  gradient
	salt  int // see apply
}

// gradient builds the gradients of the operands; nil where diff is false.
type gradient func(in gorgonia.Nodes, out, dout *gorgonia.Node) (gorgonia.Nodes, error)

var (
	_ gorgonia.SDOp            = (*Operator)(nil)
	_ gorgonia.UsePreallocDoer = (*Operator)(nil)
)

// What gorgonia asks of an operator: gorgonia.Op and gorgonia.SDOp.

func (o *Operator) Arity() int            { return len(o.types) }
func (o *Operator) ReturnsPtr() bool      { return false }
func (o *Operator) CallsExtern() bool     { return false }
func (o *Operator) OverwritesInput() int  { return -1 }
func (o *Operator) DiffWRT(int) []bool    { return o.diff }
func (o *Operator) WriteHash(h hash.Hash) { _, _ = io.WriteString(h, o.String()) }

// String names the kind, its attributes and the result.
func (o *Operator) String() string {
	name := o.Op.Key()
	if o.salt > 0 {
		name = fmt.Sprintf("%s~%d", name, o.salt)
	}
	if len(o.Op.Out) == 1 {
		return name
	}
	return fmt.Sprintf("%s#%d", name, o.Result)
}

func (o *Operator) Type() hm.Type {
	return hm.NewFnType(append(append([]hm.Type(nil), o.types...), o.out)...)
}

func (o *Operator) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) { return o.shape(), nil }

// shape is that of this result.
func (o *Operator) shape() tensor.Shape { return slices.Clone(tensor.Shape(o.Op.Out[o.Result])) }

func (o *Operator) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

func (o *Operator) SymDiff(in gorgonia.Nodes, out, dout *gorgonia.Node) (gorgonia.Nodes, error) {
	if o.grad == nil {
		return nil, fmt.Errorf("ops: %s has no derivative", o.Op.Kind)
	}
	return o.grad(in, out, dout)
}

// Do implements gorgonia.Op for gorgonia's own machines, on the default backend; pkg/exec calls
// kernels itself.
func (o *Operator) Do(inputs ...gorgonia.Value) (gorgonia.Value, error) {
	dt, err := dtypeOf(o.out)
	if err != nil {
		return nil, err
	}
	shape := o.shape()
	switch {
	case len(shape) > 0:
		return o.UsePreallocDo(tensor.New(tensor.Of(dt), tensor.WithShape(shape...)), inputs...)
	case dt == tensor.Float32:
		return o.UsePreallocDo(gorgonia.NewF32(0), inputs...)
	}
	return o.UsePreallocDo(gorgonia.NewF64(0), inputs...)
}

// UsePreallocDo implements gorgonia.UsePreallocDoer, on the default backend.
func (o *Operator) UsePreallocDo(prealloc gorgonia.Value, inputs ...gorgonia.Value) (_ gorgonia.Value, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("ops: %s: %v", o.Op.Kind, r)
		}
	}()
	run, err := cpu.Backend{}.Kernel(o.Op)
	if err != nil {
		return nil, fmt.Errorf("ops: %w", err)
	}
	in := make([]backend.Buffer, len(inputs))
	for i, v := range inputs {
		if in[i], err = BufferOf(v); err != nil {
			return nil, fmt.Errorf("ops: %s: input %d: %w", o.Op.Kind, i, err)
		}
	}
	dst := make([]backend.Buffer, len(o.Op.Out))
	if dst[o.Result], err = BufferOf(prealloc); err != nil {
		return nil, fmt.Errorf("ops: %s: result: %w", o.Op.Kind, err)
	}
	run(dst, in)
	return prealloc, nil
}

// apply adds the operator to its operands' graph. Gorgonia merges nodes by a 32-bit hash without
// looking at the children; a node that comes back with other children is a collision, escaped by a
// salt in the operator's text.
func apply(o *Operator, in ...*gorgonia.Node) (*gorgonia.Node, error) {
	for ; o.salt < 8; o.salt++ {
		n, err := gorgonia.ApplyOp(o, in...)
		if err != nil {
			return nil, fmt.Errorf("ops: %s: %w", o.Op.Kind, err)
		}
		if slices.Equal(Operands(n), in) {
			return n, nil
		}
	}
	return nil, fmt.Errorf("ops: %s: hash collisions in the graph", o.Op.Kind)
}

// Operands are the nodes that n's operator takes, in argument order, one that is taken twice twice.
// Inputs have none.
func Operands(n *gorgonia.Node) []*gorgonia.Node {
	it := n.Graph().From(n.ID())
	list := make([]*gorgonia.Node, 0, max(it.Len(), 0))
	for it.Next() {
		list = append(list, it.Node().(*gorgonia.Node))
	}
	return list
}

// BufferOf gives the memory of a gorgonia value: a *tensor.Dense or a pointer to a scalar.
func BufferOf(v gorgonia.Value) (backend.Buffer, error) {
	switch v := v.(type) {
	case *gorgonia.F32:
		return backend.Buffer{F32: unsafe.Slice((*float32)(v), 1)}, nil
	case *gorgonia.F64:
		return backend.Buffer{F64: unsafe.Slice((*float64)(v), 1)}, nil
	case *tensor.Dense:
		switch v.Dtype() {
		case tensor.Float32:
			return backend.Buffer{F32: v.Float32s()}, nil
		case tensor.Float64:
			return backend.Buffer{F64: v.Float64s()}, nil
		case tensor.Int32:
			return backend.Buffer{I32: v.Int32s()}, nil
		}
		return backend.Buffer{}, fmt.Errorf("ops: dtype %v is not float32, float64 or int32", v.Dtype())
	case nil:
		return backend.Buffer{}, errors.New("ops: no value")
	}
	return backend.Buffer{}, fmt.Errorf("ops: value of type %T", v)
}

// DTypeOf is the backend's name of a dtype; 0 for one that values here cannot have.
func DTypeOf(dt tensor.Dtype) backend.DType {
	switch dt {
	case tensor.Float32:
		return backend.Float32
	case tensor.Float64:
		return backend.Float64
	case tensor.Int32:
		return backend.Int32
	}
	return 0
}
