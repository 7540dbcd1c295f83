package exec

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/backend"
	"github.com/tame-rlhf/tame/pkg/ops"
)

// slot is one value of the plan: an input, a constant or the result of a step.
type slot struct {
	node   *gorgonia.Node
	dt     tensor.Dtype
	shape  tensor.Shape
	size   int   // elements
	output bool  // it has memory of its own that lasts to the next run
	input  bool  // bound, or a constant
	home   *slot // the slot whose memory this one lies in: the source of a reshape, the sum that it is a part of
	adds   adds
	dirty  bool // its unused rows are never read

	first, last int // steps that write and that read its memory last
	offset      int // place in the arena, in words

	buf   backend.Buffer
	value gorgonia.Value
}

// adds says when a step adds its result to what the slot's memory holds.
type adds int

const (
	never   adds = iota
	inAdd        // in RunAdd: the first part of a sum
	inEvery      // always: the further parts
)

// root is the slot that owns the memory.
func (s *slot) root() *slot {
	for s.home != nil {
		s = s.home
	}
	return s
}

// step runs one kernel, or one operator of gorgonia.
type step struct {
	name    string
	compute backend.Op    // what the kernel computes; without a kind for operators of gorgonia that run themselves
	ours    *ops.Operator // nil for operators of gorgonia, and what the plan inserts
	foreign gorgonia.Op
	in      []*slot
	out     []*slot // nil where a result is not wanted

	kernel        backend.Kernel
	inBuf, outBuf []backend.Buffer
	inVal         []gorgonia.Value
}

// isSum says whether the step is the sum of its two inputs, such as two gradients of one value.
func (st *step) isSum() bool { return st.compute.Kind == backend.GradientSum }

// plan is the steps in their order, and all the values that they work on.
type plan struct {
	slots   map[*gorgonia.Node]*slot // values of the graph's nodes
	outputs map[*gorgonia.Node]*slot // where those that were asked for are read
	all     []*slot
	steps   []*step
}

// reachable lists the nodes that the outputs need in creation order, which is topological.
func reachable(outputs []*gorgonia.Node) ([]*gorgonia.Node, error) {
	seen := map[int64]*gorgonia.Node{}
	todo := slices.Clone(outputs)
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if _, ok := seen[n.ID()]; ok {
			continue
		}
		seen[n.ID()] = n
		for _, child := range ops.Operands(n) {
			if child.ID() >= n.ID() {
				return nil, fmt.Errorf("exec: node %v was created before its operand %v", n, child)
			}
			todo = append(todo, child)
		}
	}
	return slices.SortedFunc(maps.Values(seen), func(a, b *gorgonia.Node) int { return cmp.Compare(a.ID(), b.ID()) }), nil
}

// add makes a slot for a value of the node's shape and dtype.
func (p *plan) add(n *gorgonia.Node) (*slot, error) {
	dt := n.Dtype()
	if dt != tensor.Float32 && dt != tensor.Float64 && dt != tensor.Int32 {
		return nil, fmt.Errorf("exec: node %v has dtype %v, want float32, float64 or int32", n, dt)
	}
	shape := n.Shape()
	return p.another(&slot{node: n, dt: dt, shape: shape, size: shape.TotalSize()}), nil
}

// another makes a slot for a second value of the same shape and dtype.
func (p *plan) another(s *slot) *slot {
	t := &slot{node: s.node, dt: s.dt, shape: s.shape, size: s.size, first: -1, last: -1}
	p.all = append(p.all, t)
	return t
}

// schedule turns nodes into slots and steps. Siblings join the step of the first of them.
func schedule(nodes, outputs []*gorgonia.Node) (*plan, error) {
	p := &plan{slots: make(map[*gorgonia.Node]*slot, len(nodes)), outputs: make(map[*gorgonia.Node]*slot, len(outputs))}
	siblings := map[string]*step{}
	for _, n := range nodes {
		s, err := p.add(n)
		if err != nil {
			return nil, err
		}
		p.slots[n] = s
		s.output = slices.Contains(outputs, n)
		kids := ops.Operands(n)
		if len(kids) == 0 {
			s.input, s.value = true, n.Value()
			if n.Op() != nil && s.value == nil {
				return nil, fmt.Errorf("exec: %v has neither operands nor a value", n)
			}
			continue
		}
		in := make([]*slot, len(kids))
		for i, k := range kids {
			in[i] = p.slots[k]
		}
		if isReshape(n, in) && !s.output {
			s.home = in[0]
			continue
		}
		st := stepFor(n, in, siblings)
		if !slices.ContainsFunc(st.out, func(s *slot) bool { return s != nil }) {
			p.steps = append(p.steps, st)
		}
		result := 0
		if st.ours != nil {
			result = n.Op().(*ops.Operator).Result
		}
		st.out[result] = s
	}
	for _, n := range outputs {
		p.outputs[n] = p.slots[n]
	}
	return p, nil
}

// stepFor finds the step that computes the node and its siblings, or starts one.
func stepFor(n *gorgonia.Node, in []*slot, siblings map[string]*step) *step {
	op, ours := n.Op().(*ops.Operator)
	if !ours {
		return &step{name: n.Op().String(), compute: substitute(n, in), foreign: n.Op(), in: in, out: make([]*slot, 1)}
	}
	key := op.Op.Key()
	for _, s := range in {
		key = fmt.Sprintf("%s|%d", key, s.node.ID())
	}
	if known, ok := siblings[key]; ok {
		return known
	}
	st := &step{name: string(op.Op.Kind), compute: op.Op, ours: op, in: in, out: make([]*slot, len(op.Op.Out))}
	siblings[key] = st
	return st
}

// findKernels asks the backend for the kernel of every step.
func (p *plan) findKernels(b backend.Kernels) (err error) {
	for _, st := range p.steps {
		if st.compute.Kind == "" {
			continue
		}
		if st.kernel, err = b.Kernel(st.compute); err != nil {
			return fmt.Errorf("exec: operator %q: %w", st.name, err)
		}
	}
	return nil
}

// producers gives the index of the step that computes each value.
func (p *plan) producers() map[*slot]int {
	at := make(map[*slot]int, len(p.all))
	for i, st := range p.steps {
		for _, s := range st.out {
			if s != nil {
				at[s] = i
			}
		}
	}
	return at
}
