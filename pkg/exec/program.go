package exec

import (
	"context"
	"fmt"
	"time"

	"gorgonia.org/gorgonia"

	"github.com/tame-rlhf/tame/pkg/backend"
	"github.com/tame-rlhf/tame/pkg/backend/cpu"
	"github.com/tame-rlhf/tame/pkg/ops"
)

// Options of Compile. The zero value computes outputs and no more.
type Options struct {
	// Backend has the kernels. Nil means cpu.Backend.
	Backend backend.Kernels
	// CheckFinite looks at every result; the first NaN or Inf stops the run with a *NonFiniteError. See Program.CheckFinite.
	CheckFinite bool
	// Timing adds up the time of every operator, see Program.Timings.
	Timing bool
	// Sums are outputs that RunAdd adds to instead of overwriting them, such as gradients. Of float dtype.
	Sums []*gorgonia.Node
	// Recompute are groups of nodes whose values are not kept for what reads them late: all but the last node of a group are
	// computed once more, right before the first step after that last node that reads one of them. A group is what lies
	// between two layers of a net, in order; the bits stay the same.
	Recompute [][]*gorgonia.Node
	// MaxArena is the number of bytes that intermediates may take, 0 for no limit. A program that needs
	// more is a *MemoryError, before anything is allocated.
	MaxArena int
}

// MemoryError says that the intermediates of a program take more memory than Options.MaxArena.
type MemoryError struct{ Arena, Max int } // bytes

// Error implements error.
func (e *MemoryError) Error() string {
	return fmt.Sprintf("exec: intermediates of %d bytes, more than the limit of %d", e.Arena, e.Max)
}

// Program is a compiled graph with its memory.
type Program struct {
	*plan
	opts  Options
	arena []uint64

	at      int               // step that runs
	unbound []*slot           // inputs checked before a run
	shared  []*slot           // values that lie in the memory of others
	first   []*backend.Buffer // destinations of the steps that RunAdd makes add
	dirty   []*backend.Buffer // destinations whose unused rows may stay as they are
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
	pl, err := schedule(nodes, outputs)
	if err != nil {
		return nil, err
	}
	if err := pl.addInPlace(opts.Sums); err != nil {
		return nil, err
	}
	pl.recompute(opts.Recompute)
	pl.findDirty()
	if opts.Backend == nil {
		opts.Backend = cpu.Backend{}
	}
	if err := pl.findKernels(opts.Backend); err != nil {
		return nil, err
	}
	p := &Program{plan: pl, opts: opts}
	return p, p.allocate()
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

// Needs reports whether the outputs depend on the node.
func (p *Program) Needs(n *gorgonia.Node) bool {
	_, ok := p.slots[n]
	return ok
}

// ArenaBytes is the memory of the intermediates.
func (p *Program) ArenaBytes() int { return len(p.arena) * 8 }

// CheckFinite turns the option of that name on or off, from the next run on.
func (p *Program) CheckFinite(on bool) { p.opts.CheckFinite = on }

// Run computes the outputs. It stops between operators when the context is done. After the first run of its kind it allocates
// nothing, but for operators of gorgonia.
func (p *Program) Run(ctx context.Context) error { return p.run(ctx, false) }

// RunAdd is Run, but what it computes for Options.Sums is added to what they hold from the last run. After an error they
// hold anything, until a Run.
func (p *Program) RunAdd(ctx context.Context) error { return p.run(ctx, true) }

func (p *Program) run(ctx context.Context, add bool) (err error) {
	for _, s := range p.unbound {
		if s.value == nil {
			return fmt.Errorf("exec: input %s is not bound", s.node.Name())
		}
	}
	for _, dst := range p.first {
		dst.Add = add
	}
	for _, dst := range p.dirty {
		dst.Dirty = !p.opts.CheckFinite // which looks at all rows
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
	if st.kernel != nil {
		st.kernel(st.outBuf, st.inBuf)
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
	v, err := st.foreign.Do(st.inVal...)
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

// Value is the value of an output, valid until the next Run.
func (p *Program) Value(n *gorgonia.Node) (gorgonia.Value, error) {
	s, ok := p.outputs[n]
	if !ok {
		return nil, fmt.Errorf("exec: %v is not an output", n)
	}
	return s.value, nil
}

// Buffer is the memory of an output, valid until the next Run.
func (p *Program) Buffer(n *gorgonia.Node) (backend.Buffer, error) {
	s, ok := p.outputs[n]
	if !ok {
		return backend.Buffer{}, fmt.Errorf("exec: %v is not an output", n)
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
