package exec

import (
	"slices"

	"gorgonia.org/gorgonia"
)

// recompute makes the values of each group die with the group's last node, whose value is kept. What reads the others
// later, the backward pass, reads a second computation of them, done at once right before the first that does. The kernels
// and what they read are the same, so the bits are.
func (p *plan) recompute(groups [][]*gorgonia.Node) {
	for _, g := range groups {
		if len(g) > 0 {
			p.recomputeGroup(g)
		}
	}
}

func (p *plan) recomputeGroup(nodes []*gorgonia.Node) {
	// 1. The group's steps and where they end.
	kept := p.slots[nodes[len(nodes)-1]]
	producer := p.producers()
	end, ok := producer[kept]
	if !ok {
		return
	}
	member := map[*step]bool{}
	for _, n := range nodes {
		if at, ok := producer[p.slots[n]]; ok && at <= end {
			member[p.steps[at]] = true
		}
	}
	dies := func(s *slot) bool { // and is computed again
		at, ok := producer[s]
		return ok && member[p.steps[at]] && s != kept && !s.output && s.adds == never
	}

	// 2. The values that are read later, and those that they are computed from.
	needed := map[*slot]bool{}
	first := 0
	for i, st := range p.steps {
		for _, s := range st.in {
			if i > end && dies(s.root()) {
				needed[s.root()] = true
				if first == 0 {
					first = i
				}
			}
		}
	}
	if first == 0 {
		return
	}
	for i := end; i >= 0; i-- {
		if st := p.steps[i]; member[st] && slices.ContainsFunc(st.out, func(s *slot) bool { return needed[s] }) {
			for _, s := range st.in {
				if dies(s.root()) {
					needed[s.root()] = true
				}
			}
		}
	}

	// 3. The second computation.
	twin := map[*slot]*slot{}
	var again func(s *slot) *slot // what stands for the value after the group's end
	again = func(s *slot) *slot {
		if s == nil || !needed[s.root()] {
			return s
		}
		if twin[s] == nil {
			twin[s] = p.another(s)
			if s.home != nil {
				twin[s].home = again(s.home)
			}
		}
		return twin[s]
	}
	var steps []*step
	for _, st := range p.steps[:end+1] {
		if !member[st] || !slices.ContainsFunc(st.out, func(s *slot) bool { return needed[s] }) {
			continue
		}
		c := *st
		c.in, c.out = make([]*slot, len(st.in)), make([]*slot, len(st.out))
		for i, s := range st.in {
			c.in[i] = again(s)
		}
		for i, s := range st.out {
			if needed[s] {
				c.out[i] = again(s)
			}
		}
		steps = append(steps, &c)
	}
	for _, st := range p.steps[first:] {
		for i, s := range st.in {
			st.in[i] = again(s)
		}
	}
	p.steps = slices.Insert(p.steps, first, steps...)
}
