package exec

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/ops"
)

// Options of Compile. The zero value is what training uses.
type Options struct {
	CheckFinite bool // look at every result; the first NaN or Inf stops the run with a *NonFiniteError
	Timing      bool // add up the time of every operator, see Program.Timings
}

// NonFiniteError names the operator whose result was the first to hold a NaN or an Inf.
type NonFiniteError struct {
	Op    string  // the operator
	Node  string  // the operator with its operands, such as "linear(swiglu, policy/layers.3.down, layout)"
	Index int     // position in the result
	Value float64 // NaN or Inf
}

// Error implements error.
func (e *NonFiniteError) Error() string {
	return fmt.Sprintf("exec: operator %q in %s gives %v at position %d", e.Op, e.Node, e.Value, e.Index)
}

// Program is a compiled graph with its memory.
type Program struct {
	opts  Options
	slots map[*gorgonia.Node]*slot
	steps []*step
	arena []uint64

	at      int     // step that runs
	unbound []*slot // inputs checked before a run
	spent   []time.Duration
}

// Compile plans the nodes that the outputs, all of one graph, need.
func Compile(outputs []*gorgonia.Node, opts Options) (_ *Program, err error) {
	defer func() { // gorgonia's accessors panic on malformed nodes
		if r := recover(); r != nil {
			err = fmt.Errorf("exec: compile: %v", r)
		}
	}()
	if len(outputs) == 0 {
		return nil, fmt.Errorf("exec: no outputs")
	}
	for _, n := range outputs {
		if n == nil || n.Graph() != outputs[0].Graph() {
			return nil, fmt.Errorf("exec: outputs must be nodes of one graph")
		}
	}
	nodes, err := reachable(outputs)
	if err != nil {
		return nil, err
	}
	p := &Program{opts: opts}
	if p.slots, p.steps, err = schedule(nodes); err != nil {
		return nil, err
	}
	for _, n := range outputs {
		p.slots[n].output = true
	}
	p.arena = make([]uint64, place(p.steps))
	return p, p.allocate(nodes)
}

// allocate gives every slot its memory and every step its arguments.
func (p *Program) allocate(nodes []*gorgonia.Node) error {
	for _, n := range nodes {
		s := p.slots[n]
		switch {
		case s.input && s.value != nil:
			if err := s.bind(s.value); err != nil {
				return err
			}
		case s.input:
			p.unbound = append(p.unbound, s)
		case s.output:
			s.setMemory(make([]uint64, words(s)))
		default:
			s.setMemory(p.arena[s.offset : s.offset+words(s)])
		}
	}
	for _, st := range p.steps {
		st.inBuf = make([]ops.Buffer, len(st.in))
		st.outBuf = make([]ops.Buffer, len(st.out))
		if st.run == nil {
			st.inVal = make([]gorgonia.Value, len(st.in))
		}
		for i, s := range st.out {
			if s != nil {
				st.outBuf[i] = s.buf
			}
		}
	}
	p.link()
	p.spent = make([]time.Duration, len(p.steps))
	return nil
}

// link copies the places of inputs into the steps; after it a run follows no pointer twice.
func (p *Program) link() {
	for _, st := range p.steps {
		for i, s := range st.in {
			st.inBuf[i] = s.buf
			if st.inVal != nil {
				st.inVal[i] = s.value
			}
		}
	}
}

// setMemory makes the words the memory of the slot.
func (s *slot) setMemory(mem []uint64) {
	at := unsafe.Pointer(unsafe.SliceData(mem))
	switch s.dt {
	case tensor.Float32:
		s.buf = ops.Buffer{F32: unsafe.Slice((*float32)(at), s.size)}
		s.value = wrap(s.shape, s.buf.F32, func(x *float32) gorgonia.Value { return (*gorgonia.F32)(x) })
	case tensor.Float64:
		s.buf = ops.Buffer{F64: unsafe.Slice((*float64)(at), s.size)}
		s.value = wrap(s.shape, s.buf.F64, func(x *float64) gorgonia.Value { return (*gorgonia.F64)(x) })
	default:
		s.buf = ops.Buffer{I32: unsafe.Slice((*int32)(at), s.size)}
		s.value = wrap(s.shape, s.buf.I32, func(x *int32) gorgonia.Value { return (*gorgonia.I32)(x) })
	}
}

func wrap[T any](shape tensor.Shape, x []T, scalar func(*T) gorgonia.Value) gorgonia.Value {
	if len(shape) == 0 {
		return scalar(&x[0])
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(x))
}

// Bind gives an input its value, which is used in place: a *tensor.Dense or a pointer to a gorgonia scalar. Binding a
// node that no output needs does nothing.
func (p *Program) Bind(n *gorgonia.Node, v gorgonia.Value) error {
	s, ok := p.slots[n]
	if !ok {
		return nil
	}
	if !s.input {
		return fmt.Errorf("exec: %v is not an input", n)
	}
	if err := s.bind(v); err != nil {
		return err
	}
	p.link()
	return nil
}

func (s *slot) bind(v gorgonia.Value) error {
	buf, err := ops.BufferOf(v)
	if err != nil {
		return fmt.Errorf("exec: input %s: %w", s.node.Name(), err)
	}
	got, size := tensor.Int32, len(buf.I32)
	switch {
	case buf.F32 != nil:
		got, size = tensor.Float32, len(buf.F32)
	case buf.F64 != nil:
		got, size = tensor.Float64, len(buf.F64)
	}
	if got != s.dt || size != s.size || !v.Shape().Eq(s.shape) {
		return fmt.Errorf("exec: input %s is %v %v, want %v %v", s.node.Name(), v.Shape(), got, s.shape, s.dt)
	}
	s.buf, s.value = buf, v
	return nil
}

// Needs reports whether the outputs depend on the node.
func (p *Program) Needs(n *gorgonia.Node) bool {
	_, ok := p.slots[n]
	return ok
}

// ArenaBytes is the memory of the intermediates.
func (p *Program) ArenaBytes() int { return len(p.arena) * 8 }

// Run computes the outputs. It stops between operators when the context is done.
func (p *Program) Run(ctx context.Context) (err error) {
	for _, s := range p.unbound {
		if s.value == nil {
			return fmt.Errorf("exec: input %s is not bound", s.node.Name())
		}
	}
	defer func() { // kernels panic on programmer errors, gorgonia's operators on more
		if r := recover(); r != nil {
			err = fmt.Errorf("exec: operator %q: %v", p.steps[p.at].name, r)
		}
	}()
	for p.at = range p.steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := p.runStep(p.at); err != nil {
			return err
		}
	}
	return nil
}

func (p *Program) runStep(at int) error {
	st := p.steps[at]
	var start time.Time
	if p.opts.Timing {
		start = time.Now()
	}
	if st.run != nil {
		st.run(st.outBuf, st.inBuf)
	} else if err := st.runForeign(); err != nil {
		return err
	}
	if p.opts.Timing {
		p.spent[at] += time.Since(start)
	}
	if p.opts.CheckFinite {
		return st.checkFinite()
	}
	return nil
}

// runForeign runs an operator of gorgonia and copies its result into the slot.
func (st *step) runForeign() error {
	v, err := st.op.Do(st.inVal...)
	if err != nil {
		return fmt.Errorf("exec: operator %q: %w", st.name, err)
	}
	got, err := ops.BufferOf(v)
	if err != nil {
		return fmt.Errorf("exec: operator %q: result: %w", st.name, err)
	}
	dst := st.outBuf[0]
	if copy(dst.F32, got.F32)+copy(dst.F64, got.F64)+copy(dst.I32, got.I32) != st.out[0].size {
		return fmt.Errorf("exec: operator %q gives %v %v, want %v %v", st.name, v.Shape(), v.Dtype(), st.out[0].shape, st.out[0].dt)
	}
	return nil
}

func (st *step) checkFinite() error {
	for _, s := range st.out {
		if s == nil {
			continue
		}
		for i, v := range s.buf.F32 {
			if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
				return &NonFiniteError{Op: shortName(s.node), Node: describe(s.node), Index: i, Value: f}
			}
		}
		for i, f := range s.buf.F64 {
			if math.IsNaN(f) || math.IsInf(f, 0) {
				return &NonFiniteError{Op: shortName(s.node), Node: describe(s.node), Index: i, Value: f}
			}
		}
	}
	return nil
}

// describe names an operator and its operands: inputs by their names, which tell a weight and its layer, others by their
// operators.
func describe(n *gorgonia.Node) string {
	var operands []string
	for _, k := range ops.Operands(n) {
		name := k.Name()
		if k.Op() != nil && len(ops.Operands(k)) > 0 {
			name = shortName(k)
		}
		operands = append(operands, name)
	}
	return fmt.Sprintf("%s(%s)", shortName(n), strings.Join(operands, ", "))
}

// shortName is the operator's name without its parameters, which are numbers.
func shortName(n *gorgonia.Node) string {
	name := n.Op().String()
	if op, ours := n.Op().(ops.Operator); ours {
		name = op.Group()
	}
	words := slices.DeleteFunc(strings.Fields(name), func(word string) bool {
		_, err := strconv.ParseFloat(word, 64)
		return err == nil
	})
	return strings.Join(words, " ")
}

// Value is the value of an output, valid until the next Run.
func (p *Program) Value(n *gorgonia.Node) (gorgonia.Value, error) {
	s, ok := p.slots[n]
	if !ok || !s.output {
		return nil, fmt.Errorf("exec: %v is not an output", n)
	}
	return s.value, nil
}

// Buffer is the memory of an output, valid until the next Run.
func (p *Program) Buffer(n *gorgonia.Node) (ops.Buffer, error) {
	s, ok := p.slots[n]
	if !ok || !s.output {
		return ops.Buffer{}, fmt.Errorf("exec: %v is not an output", n)
	}
	return s.buf, nil
}

// Timings is the time spent in each operator over all runs, by its name. Empty without Options.Timing.
func (p *Program) Timings() map[string]time.Duration {
	total := map[string]time.Duration{}
	if !p.opts.Timing {
		return total
	}
	for i, st := range p.steps {
		total[st.name] += p.spent[i]
	}
	return total
}
