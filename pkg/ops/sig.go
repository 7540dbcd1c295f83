package ops

import (
	"fmt"
	"slices"
	"strings"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/backend"
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
	op    backend.Op // its shapes and dtype come with the arguments
	dt    tensor.Dtype
	nodes []*gorgonia.Node
	types []hm.Type
	rows  []bool // arguments of which the used rows alone are read
	by    int    // the argument that says which rows are used, -1 if there is none
	err   error
}

func newSig(kind backend.Kind, attrs any) *sig {
	return &sig{op: backend.Op{Kind: kind, Attrs: attrs}, by: -1}
}

// float adds an argument of the operator's float dtype. want holds the expected extents, -1 for
// any.
func (s *sig) float(name string, n *gorgonia.Node, want ...int) []int {
	if s.err == nil && n != nil && s.dt.Type == nil {
		if dt, err := dtypeOf(n.Type()); err == nil && (dt == tensor.Float32 || dt == tensor.Float64) {
			s.dt = dt
		}
	}
	return s.arg(name, n, s.dt, want)
}

// perRow adds a float argument with a row for each slot, of which the kernel reads the used ones
// alone.
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
		s.err = fmt.Errorf("ops: %s: %s is nil", s.op.Kind, name)
		return free
	}
	shape := n.Shape()
	got, err := dtypeOf(n.Type())
	ok := err == nil && got == dt && len(shape) == len(want)
	for i := 0; ok && i < len(want); i++ {
		ok = want[i] < 0 || want[i] == shape[i]
	}
	if !ok {
		s.err = &ShapeError{Op: string(s.op.Kind), Arg: name, Want: describe(want, dt), Got: shape, Of: got.String()}
		return free
	}
	s.nodes = append(s.nodes, n)
	s.op.In = append(s.op.In, slices.Clone(shape))
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

// gives sets the shapes of the results, of the float dtype.
func (s *sig) gives(shapes ...[]int) { s.op.Out = shapes }

// result makes the node of result i. diff says which arguments get a gradient from grad; nil for
// none.
func (s *sig) result(i int, diff []bool, grad gradient) (*gorgonia.Node, error) {
	return s.node(i, s.dt, Operator{diff: diff, grad: grad})
}

// sum makes the node of result i, the gradient of a weight, whose kernel looks at
// backend.Buffer.Add: with several micro-batches it is added up in place.
func (s *sig) sum(i int) (*gorgonia.Node, error) { return s.node(i, s.dt, Operator{Adds: true}) }

// grads makes the nodes of all results, the gradients of the first of that many operands; the others
// have none. The first result has rows, the others are gradients of weights, see sum.
func (s *sig) grads(operands int) (gorgonia.Nodes, error) {
	grads := make(gorgonia.Nodes, operands)
	for i := range s.op.Out {
		var err error
		if grads[i], err = s.node(i, s.dt, Operator{Adds: i > 0}); err != nil {
			return nil, err
		}
	}
	return grads, nil
}

// table makes the node of the only result, a table of rows.
func (s *sig) table() (*gorgonia.Node, error) { return s.node(0, tensor.Int32, Operator{}) }

func (s *sig) node(i int, dt tensor.Dtype, o Operator) (*gorgonia.Node, error) {
	if s.err != nil {
		return nil, s.err
	}
	o.Op, o.Result, o.Table, o.ReadsUsed = s.op, i, s.by, s.rows
	if o.Op.DType = DTypeOf(s.dt); o.Op.DType == 0 {
		o.Op.DType = backend.Int32 // no argument is float
	}
	o.types, o.out = s.types, typeFor(dt, len(s.op.Out[i]))
	if o.diff == nil {
		o.diff = make([]bool, len(s.nodes))
	}
	return apply(&o, s.nodes...)
}
