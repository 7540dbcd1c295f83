package exec

import (
	"cmp"
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/tame-rlhf/tame/pkg/ops"
)

// part is a value that is added to an output.
type part struct {
	value *slot
	at    int // the step that computes it, -1 for an input
}

// addInPlace makes the steps add up outputs where they lie: those that RunAdd goes on adding to, and those that are a sum
// of gradients, as that of a tied embedding is. An operator that can add writes straight into the output; what another
// one computes lies in the arena and is added from there. Parts are added in the order of the steps.
func (p *plan) addInPlace(sums []*gorgonia.Node) error {
	for _, n := range sums {
		s, ok := p.outputs[n]
		if !ok {
			return fmt.Errorf("exec: %v is to be summed and is not an output", n)
		}
		if s.dt == tensor.Int32 {
			return fmt.Errorf("exec: %v is to be summed and is int32", n)
		}
	}
	for _, s := range slices.Clone(p.all) {
		if p.outputs[s.node] != s {
			continue
		}
		mode := never
		if slices.Contains(sums, s.node) {
			mode = inAdd
		}
		p.addParts(s, mode)
	}
	return nil
}

// addParts makes the steps add up one output. mode is that of its first part.
func (p *plan) addParts(s *slot, mode adds) {
	producer, readers := p.producers(), p.readers()
	isPlus := func(v *slot) bool {
		at, ok := producer[v]
		return ok && p.steps[at].isSum()
	}
	own := !s.input && readers[s] == 0 // nobody else needs the value of one run
	if mode == never && !(own && isPlus(s)) {
		return
	}
	if own && !isPlus(s) && p.canAdd(s, producer) {
		s.adds = mode
		return
	}
	target, todo, dead := s, []*slot{s}, map[*step]bool{}
	if own && isPlus(s) {
		st := p.steps[producer[s]]
		todo, dead[st] = slices.Clone(st.in), true
	} else {
		target = p.another(s)
		s.output, target.output = false, true
		p.outputs[s.node] = target
	}
	var parts []part
	for len(todo) > 0 {
		v := todo[0]
		todo = todo[1:]
		if v != s && isPlus(v) && readers[v] == 1 && !v.output {
			st := p.steps[producer[v]]
			todo, dead[st] = append(todo, st.in...), true
			continue
		}
		at, ok := producer[v.root()] // that of a reshape is its source
		if !ok {
			at = -1
		}
		parts = append(parts, part{v, at})
	}
	slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(a.at, b.at) })

	behind := map[int][]*step{} // steps to insert, by the step that they follow
	for i, v := range parts {
		if i > 0 {
			mode = inEvery
		}
		sameStep := i > 0 && parts[i-1].at == v.at // a kernel gives its results in no promised order
		if v.value != s && readers[v.value] == 1 && !v.value.output && !sameStep && p.canAdd(v.value, producer) {
			v.value.home, v.value.adds = target, mode
			continue
		}
		dst := p.another(target)
		dst.home, dst.adds = target, mode
		behind[v.at] = append(behind[v.at], &step{name: "add to gradient", compute: copyOp(v.value), in: []*slot{v.value}, out: []*slot{dst}})
	}
	steps := behind[-1]
	for i, st := range p.steps {
		if !dead[st] {
			steps = append(steps, st)
		}
		steps = append(steps, behind[i]...)
	}
	p.steps = steps
}

// canAdd says whether the operator that computes the value can add it to what is there.
func (p *plan) canAdd(s *slot, producer map[*slot]int) bool {
	at, ok := producer[s]
	if !ok || s.home != nil {
		return false
	}
	op := p.steps[at].ours
	return op != nil && s.node.Op().(*ops.Operator).Adds
}

// readers counts how often each value is read, one that another shares its memory with among the readers.
func (p *plan) readers() map[*slot]int {
	count := make(map[*slot]int, len(p.all))
	for _, st := range p.steps {
		for _, s := range st.in {
			count[s]++
		}
	}
	for _, s := range p.all {
		if s.home != nil {
			count[s.home]++
		}
	}
	return count
}
