package ops

import (
	"errors"
	"fmt"
	"hash"
	"hash/fnv"
	"io"
	"slices"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Buffer is the memory of one value as its kernel sees it: the slice of the value's dtype, the others nil. The zero
// Buffer as a destination says that this result is not wanted.
type Buffer struct {
	F32 []float32
	F64 []float64
	I32 []int32

	// Add, of a destination, says that the result is added to what the memory holds instead of overwriting it. Only an
	// Adder that says so is asked to.
	Add bool

	// Loose, of a destination with a row for each slot, says that nobody reads what is behind the used rows: it may stay as it is. Otherwise it
	// is made 0. Of interest to a RowWise alone.
	Loose bool
}

// Wanted reports whether the buffer has memory.
func (b Buffer) Wanted() bool { return b.F32 != nil || b.F64 != nil || b.I32 != nil }

// Operator is an operator of this package as an executor sees it. Operators with the same Group and the same inputs
// are the results of one kernel: Run computes all that are wanted in one call.
type Operator interface {
	gorgonia.Op
	Group() string        // name and parameters of the kernel
	Results() (i, of int) // which of the kernel's results this operator is
	Run(dst, in []Buffer) // len(dst) is the number of results
}

// Adder is an Operator whose result may be one that can be added to what its destination holds, see Buffer.Add.
type Adder interface {
	Operator
	Adds() bool // whether this result can
}

// RowWise is an Operator that a table, a layout or one of rows, tells which rows are used.
type RowWise interface {
	Operator
	Table() int           // the input that is the table; -1 if this operator has none
	ReadsUsed(i int) bool // whether of input i the used rows alone are read
}

// kernel computes results from inputs. It never writes into in, and keeps nothing between calls.
type kernel func(dst, in []Buffer)

// operator is the one implementation of gorgonia.Op here; what differs between operators is data.
type operator struct {
	key    string // name and every parameter: identity of the kernel
	result int    // index among the kernel's results
	of     int    // number of the kernel's results
	adds   bool   // the kernel looks at Buffer.Add of this result

	in    []hm.Type // types of the inputs
	rows  []bool    // inputs of which the used rows alone are read
	table int       // the input that says which those are, or -1
	out   hm.Type   // type of this result
	shape tensor.Shape

	diff []bool // inputs that get a gradient
	grad gradient
	run  kernel
}

// gradient builds the gradients of the inputs; nil where diff is false.
type gradient func(in gorgonia.Nodes, out, dout *gorgonia.Node) (gorgonia.Nodes, error)

var (
	_ Adder                    = (*operator)(nil)
	_ RowWise                  = (*operator)(nil)
	_ gorgonia.SDOp            = (*operator)(nil)
	_ gorgonia.UsePreallocDoer = (*operator)(nil)
)

func (o *operator) Group() string         { return o.key }
func (o *operator) Results() (i, of int)  { return o.result, o.of }
func (o *operator) Adds() bool            { return o.adds }
func (o *operator) Table() int            { return o.table }
func (o *operator) ReadsUsed(i int) bool  { return o.rows[i] }
func (o *operator) Run(dst, in []Buffer)  { o.run(dst, in) }
func (o *operator) Arity() int            { return len(o.in) }
func (o *operator) ReturnsPtr() bool      { return false }
func (o *operator) CallsExtern() bool     { return false }
func (o *operator) OverwritesInput() int  { return -1 }
func (o *operator) DiffWRT(int) []bool    { return o.diff }
func (o *operator) WriteHash(h hash.Hash) { _, _ = io.WriteString(h, o.String()) }

func (o *operator) String() string {
	if o.of == 1 {
		return o.key
	}
	return fmt.Sprintf("%s#%d", o.key, o.result)
}

func (o *operator) Type() hm.Type {
	return hm.NewFnType(append(append([]hm.Type(nil), o.in...), o.out)...)
}

func (o *operator) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) {
	return o.shape.Clone(), nil
}

func (o *operator) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

// SymDiff implements gorgonia.SDOp.
func (o *operator) SymDiff(in gorgonia.Nodes, out, dout *gorgonia.Node) (gorgonia.Nodes, error) {
	if o.grad == nil {
		return nil, fmt.Errorf("ops: %s has no derivative", o.key)
	}
	return o.grad(in, out, dout)
}

// Do implements gorgonia.Op for gorgonia's own machines; pkg/exec calls Run.
func (o *operator) Do(inputs ...gorgonia.Value) (gorgonia.Value, error) {
	dt, err := dtypeOf(o.out)
	if err != nil {
		return nil, err
	}
	if len(o.shape) == 0 {
		if dt == tensor.Float32 {
			return o.UsePreallocDo(gorgonia.NewF32(0), inputs...)
		}
		return o.UsePreallocDo(gorgonia.NewF64(0), inputs...)
	}
	return o.UsePreallocDo(tensor.New(tensor.Of(dt), tensor.WithShape(o.shape...)), inputs...)
}

// UsePreallocDo implements gorgonia.UsePreallocDoer.
func (o *operator) UsePreallocDo(prealloc gorgonia.Value, inputs ...gorgonia.Value) (_ gorgonia.Value, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("ops: %s: %v", o.key, r)
		}
	}()
	in := make([]Buffer, len(inputs))
	for i, v := range inputs {
		if in[i], err = BufferOf(v); err != nil {
			return nil, fmt.Errorf("ops: %s: input %d: %w", o.key, i, err)
		}
	}
	dst := make([]Buffer, o.of)
	if dst[o.result], err = BufferOf(prealloc); err != nil {
		return nil, fmt.Errorf("ops: %s: result: %w", o.key, err)
	}
	o.run(dst, in)
	return prealloc, nil
}

// apply adds the operator to its inputs' graph. Gorgonia merges nodes by a 32-bit hash without looking at the
// children; a node that comes back with other children is a collision, escaped by a salt in the key.
func apply(o *operator, in ...*gorgonia.Node) (*gorgonia.Node, error) {
	base := o.key
	for salt := 1; salt < 8; salt++ {
		n, err := gorgonia.ApplyOp(o, in...)
		if err != nil {
			return nil, fmt.Errorf("ops: %s: %w", base, err)
		}
		if slices.Equal(Operands(n), in) {
			return n, nil
		}
		o.key = fmt.Sprintf("%s~%d", base, salt)
	}
	return nil, fmt.Errorf("ops: %s: hash collisions in the graph", base)
}

// buildAdder is build for the gradient of a weight, whose kernel looks at Buffer.Add: with several micro-batches it is added
// up where it lies.
func (s *sig) buildAdder(key string, i, of int, shape tensor.Shape, run kernel) (*gorgonia.Node, error) {
	n, err := s.build(key, i, of, shape, run, nil, nil)
	if err == nil {
		n.Op().(*operator).adds = true
	}
	return n, err
}

// Operands are the nodes that n's operator takes, in argument order, one that is taken twice twice. Inputs have none.
func Operands(n *gorgonia.Node) []*gorgonia.Node {
	it := n.Graph().From(n.ID())
	list := make([]*gorgonia.Node, 0, max(it.Len(), 0))
	for it.Next() {
		list = append(list, it.Node().(*gorgonia.Node))
	}
	return list
}

// BufferOf gives the memory of a gorgonia value: a *tensor.Dense or a pointer to a scalar.
func BufferOf(v gorgonia.Value) (Buffer, error) {
	switch v := v.(type) {
	case *gorgonia.F32:
		return Buffer{F32: f32Scalar(v)}, nil
	case *gorgonia.F64:
		return Buffer{F64: f64Scalar(v)}, nil
	case *tensor.Dense:
		switch v.Dtype() {
		case tensor.Float32:
			return Buffer{F32: v.Float32s()}, nil
		case tensor.Float64:
			return Buffer{F64: v.Float64s()}, nil
		case tensor.Int32:
			return Buffer{I32: v.Int32s()}, nil
		}
		return Buffer{}, fmt.Errorf("ops: dtype %v is not float32, float64 or int32", v.Dtype())
	case nil:
		return Buffer{}, errors.New("ops: no value")
	}
	return Buffer{}, fmt.Errorf("ops: value of type %T", v)
}
