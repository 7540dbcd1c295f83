package kern

import (
	"math"
	"runtime"

	"github.com/tame-rlhf/tame/internal/parallel"
)

// cutTokens is the length of the parts that a unit is cut into where there are too few tasks: a multiple of AttnBlock.
const cutTokens = AttnBlock

// attnTasks are the tasks of a loop over attention: the key/value heads of units, cut into ranges of positions. A unit is a segment; in
// the backward it is a root with its branches, whose queries add to the gradients of the root's keys.
type attnTasks struct {
	layout, shared []int32
	families       bool // units are roots with their branches
	kv, cut        int
}

// attnUnit is the segments [first, end) with the positions [from, to). root is their root: the first of them, or before it.
type attnUnit struct {
	root, first, end int
	from, to         int
	work             int // for one head
}

// forwardTasks cuts units if a head of the longest is more than a fair piece of the work. Results do not depend on it.
func forwardTasks(layout, shared []int32, kv int) attnTasks {
	t := attnTasks{layout, shared, false, kv, math.MaxInt32}
	procs := runtime.GOMAXPROCS(0)
	if all, longest := t.work(); procs > 1 && longest*procs*parallel.PiecesPerWorker > all {
		t.cut = cutTokens
	}
	return t
}

// backwardTasks cuts units if that pays although it means 7 products in place of 5; see attnGrad. Results do not depend on it.
func backwardTasks(layout, shared []int32, kv int) attnTasks {
	t := attnTasks{layout, shared, true, kv, math.MaxInt32}
	if all, longest := t.work(); 5*longest*runtime.GOMAXPROCS(0) > 7*all {
		t.cut = cutTokens
	}
	return t
}

// work returns the work for all units and heads, and for one head of the longest unit.
func (t *attnTasks) work() (all, longest int) {
	for u := range t.units {
		all += t.kv * u.work
		longest = max(longest, u.work)
	}
	return all, longest
}

// units goes through the units in order.
func (t *attnTasks) units(yield func(attnUnit) bool) {
	segments := int(t.layout[0])
	for s, root := 0, 0; s < segments; {
		if !t.branch(s) {
			root = s
		}
		p := t.path(root, s)
		u := attnUnit{root: root, first: s, end: s + 1, from: p.shared, to: p.length, work: p.work()}
		for t.families && u.end < segments && t.branch(u.end) {
			p := t.path(root, u.end)
			u.to = max(u.to, p.length)
			u.work += p.work()
			u.end++
		}
		if !yield(u) {
			return
		}
		s = u.end
	}
}

func (t *attnTasks) branch(s int) bool { return t.shared != nil && t.shared[s] > 0 }

// path is that of segment s.
func (t *attnTasks) path(root, s int) attnPath {
	p := attnPath{root: int(t.layout[1+root]), own: int(t.layout[1+s])}
	if t.branch(s) {
		p.shared = int(t.shared[s])
	}
	p.length = p.shared + int(t.layout[2+s]) - p.own
	return p
}

// work is that of a path's own queries.
func (p attnPath) work() int { return p.length*p.length - p.shared*p.shared }

// parts is how many ranges of positions a unit has.
func (t *attnTasks) parts(u attnUnit) int { return ceilDiv(u.to, t.cut) - u.from/t.cut }

// count is the number of tasks.
func (t *attnTasks) count() int {
	n := 0
	for u := range t.units {
		n += t.kv * t.parts(u)
	}
	return n
}

// attnTask is key/value head g of a unit, the positions [from, to) of it.
type attnTask struct {
	attnUnit
	g int
}

// each calls f for the tasks [first, end). Those of a unit come with its last positions first, which take longest in the forward.
func (t *attnTasks) each(first, end int, f func(attnTask)) {
	at := 0 // the number of the unit's first task
	for u := range t.units {
		if at >= end {
			return
		}
		parts := t.parts(u)
		for i := max(first, at); i < min(end, at+t.kv*parts); i++ {
			task, from := attnTask{u, (i - at) % t.kv}, (u.from/t.cut+parts-1-(i-at)/t.kv)*t.cut
			task.from, task.to = max(u.from, from), min(from+t.cut, u.to)
			f(task)
		}
		at += t.kv * parts
	}
}
