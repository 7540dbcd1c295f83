package kern

import (
	"math"
	"runtime"
)

// cutTokens is the length of the parts that a segment is cut into where there are too few tasks: a multiple of AttnBlock.
const cutTokens = AttnBlock

// attnTasks are the tasks of a loop over attention: the key/value heads of the segments, cut into ranges of tokens.
type attnTasks struct {
	layout  []int32
	kv, cut int
}

// attnWork returns the work for all segments and heads, and for one head of the longest segment.
func attnWork(layout []int32, kv int) (all, longest int) {
	for s := range int(layout[0]) {
		length := int(layout[2+s] - layout[1+s])
		all += kv * length * length
		longest = max(longest, length*length)
	}
	return all, longest
}

// wholeSegments are tasks that are not cut.
func wholeSegments(layout []int32, kv int) attnTasks { return attnTasks{layout, kv, math.MaxInt32} }

// forwardTasks cuts segments if a head of the longest is more than a fair piece of the work. Results do not depend on it.
func forwardTasks(layout []int32, kv int) attnTasks {
	t := wholeSegments(layout, kv)
	procs := runtime.GOMAXPROCS(0)
	if all, longest := attnWork(layout, kv); procs > 1 && longest*procs*piecesPerWorker > all {
		t.cut = cutTokens
	}
	return t
}

// backwardTasks cuts segments if that pays although it means 7 products in place of 5; see attnGrad. Results do not depend on it.
func backwardTasks(layout []int32, kv int) attnTasks {
	t := wholeSegments(layout, kv)
	if all, longest := attnWork(layout, kv); 5*longest*runtime.GOMAXPROCS(0) > 7*all {
		t.cut = cutTokens
	}
	return t
}

// count is the number of tasks.
func (t *attnTasks) count() int {
	n := 0
	for s := range int(t.layout[0]) {
		n += t.kv * ceilDiv(int(t.layout[2+s]-t.layout[1+s]), t.cut)
	}
	return n
}

// attnTask is key/value head g of the segment of slots [lo, hi), the tokens [from, to) counted from lo.
type attnTask struct{ lo, hi, g, from, to int }

// each calls f for the tasks [first, end). Those of a segment come with its last tokens first, which take longest in the forward.
func (t *attnTasks) each(first, end int, f func(attnTask)) {
	at := 0 // the number of the segment's first task
	for s := 0; s < int(t.layout[0]) && at < end; s++ {
		lo, hi := int(t.layout[1+s]), int(t.layout[2+s])
		parts := ceilDiv(hi-lo, t.cut)
		for i := max(first, at); i < min(end, at+t.kv*parts); i++ {
			from := (parts - 1 - (i-at)/t.kv) * t.cut
			f(attnTask{lo, hi, (i - at) % t.kv, from, min(from+t.cut, hi-lo)})
		}
		at += t.kv * parts
	}
}
