package exec

import (
	"cmp"
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/ops"
)

// slot is one value of the plan: an input, a constant or the result of a step.
type slot struct {
	node   *gorgonia.Node
	dt     tensor.Dtype
	shape  tensor.Shape
	size   int // elements
	output bool
	input  bool

	first, last int // steps that write and that read it last
	offset      int // place in the arena, in words

	buf   ops.Buffer
	value gorgonia.Value
}

// step runs one kernel, or one operator of gorgonia.
type step struct {
	name string
	op   gorgonia.Op
	run  func(dst, in []ops.Buffer) // nil for operators of gorgonia
	in   []*slot
	out  []*slot // nil where a result is not wanted

	inBuf, outBuf []ops.Buffer
	inVal         []gorgonia.Value
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
	nodes := make([]*gorgonia.Node, 0, len(seen))
	for _, n := range seen {
		nodes = append(nodes, n)
	}
	slices.SortFunc(nodes, func(a, b *gorgonia.Node) int { return cmp.Compare(a.ID(), b.ID()) })
	return nodes, nil
}

func newSlot(n *gorgonia.Node) (*slot, error) {
	dt := n.Dtype()
	if dt != tensor.Float32 && dt != tensor.Float64 && dt != tensor.Int32 {
		return nil, fmt.Errorf("exec: node %v has dtype %v, want float32, float64 or int32", n, dt)
	}
	shape := n.Shape()
	return &slot{node: n, dt: dt, shape: shape, size: shape.TotalSize(), first: -1, last: -1}, nil
}

// schedule turns nodes into slots and steps. Siblings join the step of the first of them.
func schedule(nodes []*gorgonia.Node) (map[*gorgonia.Node]*slot, []*step, error) {
	slots := make(map[*gorgonia.Node]*slot, len(nodes))
	groups := map[string]*step{}
	var steps []*step
	for _, n := range nodes {
		s, err := newSlot(n)
		if err != nil {
			return nil, nil, err
		}
		slots[n] = s
		kids := ops.Operands(n)
		switch {
		case n.Op() == nil:
			s.input = true
			if v := n.Value(); v != nil {
				s.value = v
			}
			continue
		case len(kids) == 0:
			s.input = true
			if s.value = n.Value(); s.value == nil {
				return nil, nil, fmt.Errorf("exec: %v has neither operands nor a value", n)
			}
			continue
		}
		st, err := stepFor(n, kids, slots, groups)
		if err != nil {
			return nil, nil, err
		}
		if allNil(st.out) {
			steps = append(steps, st)
		}
		st.out[resultIndex(n)] = s
	}
	return slots, steps, nil
}

func allNil(out []*slot) bool {
	return !slices.ContainsFunc(out, func(s *slot) bool { return s != nil })
}

func resultIndex(n *gorgonia.Node) int {
	if op, ok := n.Op().(ops.Operator); ok {
		i, _ := op.Results()
		return i
	}
	return 0
}

// stepFor finds the step of the node's group, or starts one.
func stepFor(n *gorgonia.Node, kids []*gorgonia.Node, slots map[*gorgonia.Node]*slot, groups map[string]*step) (*step, error) {
	st := &step{name: n.Op().String(), op: n.Op()}
	for _, k := range kids {
		st.in = append(st.in, slots[k])
	}
	op, ours := n.Op().(ops.Operator)
	if !ours {
		st.out = make([]*slot, 1)
		st.run = substitute(n, st.in)
		return st, nil
	}
	key := op.Group()
	for _, k := range kids {
		key = fmt.Sprintf("%s|%d", key, k.ID())
	}
	if known, ok := groups[key]; ok {
		return known, nil
	}
	_, of := op.Results()
	st.name, st.run, st.out = op.Group(), op.Run, make([]*slot, of)
	groups[key] = st
	return st, nil
}

// place gives every intermediate its offset in the arena: first fit among the values alive at the same time. Offsets
// are in words of 8 bytes. It returns the arena's size in words.
func place(steps []*step) int {
	for i, st := range steps {
		for _, s := range st.in {
			s.last = i
		}
		for _, s := range st.out {
			if s != nil {
				s.first = i
			}
		}
	}
	var alive []*slot // sorted by offset
	total := 0
	for i, st := range steps {
		alive = slices.DeleteFunc(alive, func(s *slot) bool { return s.last < i })
		for _, s := range st.out {
			if s == nil || s.output {
				continue
			}
			s.last = max(s.last, i)
			at, index := firstFit(alive, words(s))
			s.offset = at
			alive = slices.Insert(alive, index, s)
			total = max(total, at+words(s))
		}
	}
	return total
}

// firstFit finds the lowest gap of that many words between values sorted by offset.
func firstFit(alive []*slot, need int) (at, index int) {
	for i, s := range alive {
		if s.offset-at >= need {
			return at, i
		}
		at = max(at, s.offset+words(s))
	}
	return at, len(alive)
}

// words is the size of a value in words of 8 bytes, rounded up to a cache line.
func words(s *slot) int {
	bytes := s.size * int(s.dt.Size())
	return (bytes + 63) / 64 * 8
}
