package exec

import (
	"cmp"
	"fmt"
	"slices"
	"time"
	"unsafe"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/backend"
	"github.com/tame-rlhf/tame/pkg/ops"
)

// place gives every intermediate its offset in the arena, in words of 8 bytes, and returns the arena's size. Values that are
// placed by size leave no gaps in a training step: the arena is as large as what is alive at once. Where that is not so,
// the order of the steps may be better.
func (p *plan) place() int {
	values := p.lifetimes()
	inOrder := fit(values)
	bySize := fit(slices.SortedStableFunc(slices.Values(values), func(a, b *slot) int { return cmp.Compare(words(b), words(a)) }))
	if bySize <= inOrder {
		return bySize
	}
	return fit(values)
}

// lifetimes finds the first and the last step of every value of the arena, and lists them by the first.
func (p *plan) lifetimes() []*slot {
	var values []*slot
	for i, st := range p.steps {
		for _, s := range st.in {
			s.root().last = i
		}
		for _, s := range st.out {
			if s == nil || s.root().output {
				continue
			}
			s.first, s.last = i, i
			values = append(values, s)
		}
	}
	return values
}

// fit gives each value in turn the lowest gap that is free as long as it lives, and returns the size of the arena.
func fit(values []*slot) int {
	var placed []*slot // by offset
	total := 0
	for _, s := range values {
		at := 0
		for _, other := range placed {
			if other.last < s.first || s.last < other.first {
				continue
			}
			if other.offset-at >= words(s) {
				break
			}
			at = max(at, other.offset+words(other))
		}
		s.offset = at
		index, _ := slices.BinarySearchFunc(placed, at, func(o *slot, at int) int { return cmp.Compare(o.offset, at) })
		placed = slices.Insert(placed, index, s)
		total = max(total, at+words(s))
	}
	return total
}

// words is the size of a value in words of 8 bytes, rounded up to a cache line.
func words(s *slot) int {
	bytes := s.size * int(s.dt.Size())
	return (bytes + 63) / 64 * 8
}

// allocate gives every value its memory and every step its arguments.
func (p *Program) allocate() error {
	size := p.place()
	if limit := p.opts.MaxArena; limit > 0 && 8*size > limit {
		return &MemoryError{Arena: 8 * size, Max: limit}
	}
	p.arena = make([]uint64, size)
	for _, s := range p.all {
		switch {
		case s.input && s.value != nil:
			if err := s.bind(s.value); err != nil {
				return err
			}
		case s.input:
			p.unbound = append(p.unbound, s)
		case s.home != nil:
			p.shared = append(p.shared, s)
		case s.output:
			s.setMemory(make([]uint64, words(s)))
		case s.first >= 0:
			s.setMemory(p.arena[s.offset : s.offset+words(s)])
		}
	}
	for _, st := range p.steps {
		st.inBuf = make([]backend.Buffer, len(st.in))
		st.outBuf = make([]backend.Buffer, len(st.out))
		if st.kernel == nil {
			st.inVal = make([]gorgonia.Value, len(st.in))
		}
		for i, s := range st.out {
			if s != nil && s.adds == inAdd {
				p.first = append(p.first, &st.outBuf[i])
			}
			if s != nil && s.dirty {
				p.dirty = append(p.dirty, &st.outBuf[i])
			}
		}
	}
	p.link()
	p.spent = make([]time.Duration, len(p.steps))
	return nil
}

// link copies the places of values into the steps; after it a run follows no pointer twice.
func (p *Program) link() {
	for _, s := range p.shared {
		s.share(s.root().buf)
	}
	for _, st := range p.steps {
		for i, s := range st.in {
			st.inBuf[i] = s.buf
			if st.inVal != nil {
				st.inVal[i] = s.value
			}
		}
		for i, s := range st.out {
			if s != nil {
				st.outBuf[i] = s.buf
				st.outBuf[i].Add = s.adds == inEvery
			}
		}
	}
}

// setMemory makes the words the memory of the slot.
func (s *slot) setMemory(mem []uint64) {
	at := unsafe.Pointer(unsafe.SliceData(mem))
	switch s.dt {
	case tensor.Float32:
		s.share(backend.Buffer{F32: unsafe.Slice((*float32)(at), s.size)})
	case tensor.Float64:
		s.share(backend.Buffer{F64: unsafe.Slice((*float64)(at), s.size)})
	default:
		s.share(backend.Buffer{I32: unsafe.Slice((*int32)(at), s.size)})
	}
}

// share makes the buffer, which may be that of another slot, the memory of this one. An input that is not bound has none.
func (s *slot) share(buf backend.Buffer) {
	s.buf = buf
	switch {
	case buf.F32 != nil:
		s.value = wrap(s.shape, buf.F32, func(x *float32) gorgonia.Value { return (*gorgonia.F32)(x) })
	case buf.F64 != nil:
		s.value = wrap(s.shape, buf.F64, func(x *float64) gorgonia.Value { return (*gorgonia.F64)(x) })
	case buf.I32 != nil:
		s.value = wrap(s.shape, buf.I32, func(x *int32) gorgonia.Value { return (*gorgonia.I32)(x) })
	}
}

func wrap[T any](shape tensor.Shape, x []T, scalar func(*T) gorgonia.Value) gorgonia.Value {
	if len(shape) == 0 {
		return scalar(&x[0])
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(x))
}

// bind makes a value that is not the program's the memory of an input.
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
