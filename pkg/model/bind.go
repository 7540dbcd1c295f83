package model

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/data"
	"github.com/tame-rlhf/tame/pkg/exec"
)

// Bind gives a program the trunk's weights and its table of rotary angles. The weights are used in place: what an optimiser writes into
// them is seen by the next run.
func (t *Trunk) Bind(p *exec.Program) error {
	for i, name := range t.names {
		q := t.params.Get(name)
		if q == nil {
			if p.Needs(t.nodes[i]) {
				return fmt.Errorf("model: trunk %q: weight %s was dropped after the trunk was made", t.name, name)
			}
			continue
		}
		if err := p.Bind(t.nodes[i], q.Value); err != nil {
			return fmt.Errorf("model: trunk %q: weight %s: %w", t.name, name, err)
		}
	}
	rope := t.in.ropes[t.rope]
	if err := p.Bind(rope.node, rope.value); err != nil {
		return fmt.Errorf("model: trunk %q: rotary angles: %w", t.name, err)
	}
	return nil
}

// Feed is the memory behind the inputs of one program. Load fills it from a batch; it allocates nothing.
type Feed struct {
	in *Inputs

	tokens, targets, layout, shared, segments []int32
	mask, segMask                             numbers
	tokenColumns, segmentColumns              []named
	scalars                                   []named
}

// named is the memory of a column or scalar that the program needs.
type named struct {
	name string
	numbers
}

// numbers is a slice of the graph's dtype; the other one is nil.
type numbers struct {
	f32 []float32
	f64 []float64
}

// set copies x into the first numbers and zeroes the rest.
func (v numbers) set(x []float32) {
	clear(v.f32[copy(v.f32, x):])
	clear(v.f64)
	for i := range min(len(x), len(v.f64)) {
		v.f64[i] = float64(x[i])
	}
}

// put sets one number.
func (v numbers) put(i int, x float64) {
	if v.f64 != nil {
		v.f64[i] = x
	} else {
		v.f32[i] = float32(x)
	}
}

// NewFeed binds fresh memory to those of the inputs that the program needs.
func (in *Inputs) NewFeed(p *exec.Program) (*Feed, error) {
	if in.err != nil {
		return nil, in.err
	}
	f := &Feed{in: in}
	var first error
	bind := func(n *gorgonia.Node, v gorgonia.Value) {
		if err := p.Bind(n, v); err != nil && first == nil {
			first = fmt.Errorf("model: inputs: %w", err)
		}
	}
	ints := func(n *gorgonia.Node) []int32 {
		x := make([]int32, n.Shape()[0])
		bind(n, tensor.New(tensor.WithShape(len(x)), tensor.WithBacking(x)))
		return x
	}
	floats := func(n *gorgonia.Node) numbers {
		x := zeros(in.DType, n.Shape()[0])
		bind(n, x)
		f32, _ := x.Data().([]float32)
		f64, _ := x.Data().([]float64)
		return numbers{f32, f64}
	}
	f.tokens, f.targets, f.segments = ints(in.Tokens), ints(in.Targets), ints(in.Segments)
	f.layout, f.shared = ints(in.Layout), ints(in.Shared)
	f.mask, f.segMask = floats(in.Mask), floats(in.SegMask)
	collect := func(c columns, memory func(*gorgonia.Node) numbers) []named {
		var out []named
		for i, n := range c.nodes {
			if p.Needs(n) {
				out = append(out, named{c.names[i], memory(n)})
			}
		}
		return out
	}
	f.tokenColumns = collect(in.tokenColumns, floats)
	f.segmentColumns = collect(in.segmentColumns, floats)
	f.scalars = collect(in.scalars, func(n *gorgonia.Node) numbers {
		if in.DType == tensor.Float64 {
			x := make([]float64, 1)
			bind(n, (*gorgonia.F64)(&x[0]))
			return numbers{f64: x}
		}
		x := make([]float32, 1)
		bind(n, (*gorgonia.F32)(&x[0]))
		return numbers{f32: x}
	})
	return f, first
}

// Bind binds fresh memory that holds the batch and the scalars to the program: NewFeed and Load in one. For many batches keep a Feed.
func (in *Inputs) Bind(p *exec.Program, batch *data.Ragged, scalars map[string]float64) error {
	f, err := in.NewFeed(p)
	if err != nil {
		return err
	}
	return f.Load(batch, scalars)
}

// Load copies a batch and the scalars, converted to the graph's dtype, into the program's inputs. Columns and scalars that the program does
// not need are ignored; one that it needs and that is missing is an error that names it, except "temperature", which is 1 then. What
// unused slots and segments hold is replaced by 0.
func (f *Feed) Load(batch *data.Ragged, scalars map[string]float64) error {
	if err := f.in.Check(batch); err != nil {
		return err
	}
	n, s := batch.Used()
	copyUsed(f.tokens, batch.Tokens[:n], 0)
	copyUsed(f.targets, batch.Targets[:n], -1)
	copyUsed(f.segments, batch.Segments[:n], -1)
	copy(f.layout, batch.Layout)
	copyUsed(f.shared, batch.Shared[:s], 0)
	f.mask.set(batch.Mask[:n])
	f.segMask.set(nil)
	for i := range s {
		f.segMask.put(i, 1)
	}
	if err := setColumns("token column", f.tokenColumns, batch.TokenColumns, n, batch.N); err != nil {
		return err
	}
	if err := setColumns("segment column", f.segmentColumns, batch.SegmentColumns, s, batch.S); err != nil {
		return err
	}
	for _, c := range f.scalars {
		x, ok := scalars[c.name]
		switch {
		case !ok && c.name == temperatureScalar:
			x = 1
		case !ok:
			return fmt.Errorf("model: the graph needs a scalar %q, which is not given", c.name)
		case c.name == temperatureScalar && !(x > 0 && !math.IsInf(x, 0)):
			return fmt.Errorf("model: scalar %q is %v, want a positive number", c.name, x)
		}
		c.put(0, x)
	}
	return nil
}

// Check looks for what kernels cannot take: ids outside of the vocabulary, segments longer than the context, targets that are not there.
func (in *Inputs) Check(b *data.Ragged) error {
	if b.N != in.N || b.S != in.S {
		return fmt.Errorf("model: batch for %d slots and %d segments, the graph has %d and %d", b.N, b.S, in.N, in.S)
	}
	n, s := b.Used()
	if n < 0 || n > b.N || s < 0 || s > b.S || len(b.Layout) != b.S+2 || len(b.Shared) != b.S || min(len(b.Tokens), len(b.Targets), len(b.Segments), len(b.Mask)) < b.N {
		return fmt.Errorf("model: batch with %d of %d slots and %d of %d segments used is malformed: make it with data.NewRagged", n, b.N, s, b.S)
	}
	vocab, longest := int32(math.MaxInt32), in.N
	for _, t := range in.trunks {
		vocab = min(vocab, int32(t.params.cfg.VocabSize))
		longest = min(longest, t.params.cfg.MaxSeqLen)
	}
	root := 0 // length of the last root
	for seg := range s {
		lo, hi := b.Span(seg)
		shared := int(b.Shared[seg])
		if shared == 0 {
			root = hi - lo
		}
		switch {
		case lo < 0 || lo >= hi || hi > n:
			return fmt.Errorf("model: segment %d lies at slots %d to %d of %d", seg, lo, hi, n)
		case shared < 0 || shared > root:
			return fmt.Errorf("model: segment %d continues %d tokens of a root of %d", seg, shared, root)
		case shared+hi-lo > longest:
			return fmt.Errorf("model: segment %d has %d tokens, the model's MaxSeqLen is %d", seg, shared+hi-lo, longest)
		}
	}
	for i := range n {
		if id := b.Tokens[i]; id < 0 || id >= vocab {
			return fmt.Errorf("model: token %d at slot %d is outside of the vocabulary of %d", id, i, vocab)
		}
		if id := b.Targets[i]; id >= vocab || id < 0 && b.Mask[i] != 0 {
			return fmt.Errorf("model: target %d at slot %d, which counts as %v, is outside of the vocabulary of %d", id, i, b.Mask[i], vocab)
		}
	}
	return nil
}

func copyUsed(dst, src []int32, rest int32) {
	for i := copy(dst, src); i < len(dst); i++ {
		dst[i] = rest
	}
}

// setColumns copies the used numbers of a batch's columns, which have want each.
func setColumns(kind string, columns []named, batch map[string][]float32, used, want int) error {
	for _, c := range columns {
		x, there := batch[c.name]
		switch {
		case !there:
			return fmt.Errorf("model: the graph needs a %s %q, which the batch does not have", kind, c.name)
		case len(x) != want:
			return fmt.Errorf("model: %s %q has %d values, want %d", kind, c.name, len(x), want)
		}
		c.set(x[:used])
	}
	return nil
}
