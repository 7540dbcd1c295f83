package losstest

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/tame-rlhf/tame/pkg/train"
)

// splitTol is the largest difference between a batch and its micro-batches, relative to numbers above 1.
const splitTol = 1e-10

// CheckSplit cuts the case into micro-batches, between groups, in several ways: every group alone, two halves, every
// other group. It wants the terms and the gradients of the micro-batches to add up to those of the whole, to 1e-10. The
// scalars (Tokens, Seqs and all others) stay those of the whole batch, as in training: a loss must divide by them and
// never by a count of its own micro-batch.
func CheckSplit[In any](t TB, loss func(In) (train.Terms, error), c Case) {
	t.Helper()
	if err := checkSplit(loss, c); err != nil {
		t.Errorf("%v", err)
	}
}

func checkSplit[In any](loss func(In) (train.Terms, error), c Case) error {
	used := 1 + int(slices.Max(append([]int32{-1}, c.groups()...)))
	if used < 2 {
		return fmt.Errorf("losstest: CheckSplit: the case has %d groups of segments, want at least 2", used)
	}
	c.Float32 = false
	c.Scalar = c.scalars() // counts of the whole
	e, err := build(loss, c)
	if err != nil {
		return err
	}
	want, err := e.run(c)
	if err != nil {
		return err
	}
	for _, way := range []struct {
		name string
		part func(group int) int
	}{
		{"every group alone", func(group int) int { return group }},
		{"two halves", func(group int) int { return 2 * group / used }},
		{"every other group", func(group int) int { return group % 2 }},
	} {
		got, err := e.sum(c, way.part)
		if err != nil {
			return err
		}
		if diff := apart(got, want); diff != "" {
			return fmt.Errorf("losstest: CheckSplit: %s: %s: divide by Tokens or Seqs, the counts of the whole batch", way.name, diff)
		}
	}
	return nil
}

// sum adds up the results of the micro-batches that part cuts the case into.
func (e *evaluator) sum(c Case, part func(group int) int) (Result, error) {
	groups := c.groups()
	parts := 0
	for _, g := range groups {
		if g >= 0 {
			parts = max(parts, part(int(g))+1)
		}
	}
	total := Result{Metrics: map[string]float64{}, Grads: map[string][]float64{}}
	for k := range parts {
		micro, from := c.cut(func(group int) bool { return part(group) == k })
		r, err := e.run(micro)
		if err != nil {
			return Result{}, err
		}
		total.Loss += r.Loss
		for name, x := range r.Metrics {
			total.Metrics[name] += x
		}
		for _, col := range c.columns() {
			g, ok := r.Grads[col.name]
			if !ok {
				continue
			}
			if total.Grads[col.name] == nil {
				total.Grads[col.name] = make([]float64, len(col.data))
			}
			w := c.width(col)
			for i, old := range from[col.axis] {
				for j := range w {
					total.Grads[col.name][old*w+j] += g[i*w+j]
				}
			}
		}
	}
	return total, nil
}

// cut keeps the wanted groups, packed to the front of the same budget, zeros after them. from says where the entries of
// each axis come from.
func (c Case) cut(keep func(group int) bool) (micro Case, from map[axis][]int) {
	groups := c.groups()
	_, _, p := c.sizes()
	from = map[axis][]int{}
	micro = c.clone()
	micro.Segments = slices.Repeat([]int32{-1}, len(c.Segments))
	micro.Groups = slices.Repeat([]int32{-1}, len(groups))
	newGroup := map[int32]int32{}
	for g := range int32(p) {
		if slices.Contains(groups, g) && keep(int(g)) {
			newGroup[g] = int32(len(from[perGroup]))
			from[perGroup] = append(from[perGroup], int(g))
		}
	}
	newSegment := map[int32]int32{}
	for s, g := range groups {
		if id, ok := newGroup[g]; ok {
			newSegment[int32(s)] = int32(len(from[perSegment]))
			micro.Groups[len(from[perSegment])] = id
			from[perSegment] = append(from[perSegment], s)
		}
	}
	for i, seg := range c.Segments {
		if id, ok := newSegment[seg]; ok {
			micro.Segments[len(from[perToken])] = id
			from[perToken] = append(from[perToken], i)
		}
	}
	from[perRow] = from[perToken]
	old := c.columns()
	for k, col := range micro.columns() {
		w := c.width(col)
		clear(col.data)
		for i, j := range from[col.axis] {
			copy(col.data[i*w:(i+1)*w], old[k].data[j*w:])
		}
	}
	return micro, from
}

// apart says what differs.
func apart(got, want Result) string {
	far := func(a, b float64) bool { return !(math.Abs(a-b) <= splitTol*math.Max(1, math.Abs(b))) }
	if far(got.Loss, want.Loss) {
		return fmt.Sprintf("the loss is %.12g, in one batch %.12g", got.Loss, want.Loss)
	}
	for _, name := range slices.Sorted(maps.Keys(want.Metrics)) {
		x := want.Metrics[name]
		if far(got.Metrics[name], x) {
			return fmt.Sprintf("the metric %q is %.12g, in one batch %.12g", name, got.Metrics[name], x)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want.Grads)) {
		for i, x := range want.Grads[name] {
			if far(got.Grads[name][i], x) {
				return fmt.Sprintf("the gradient of %s[%d] is %.12g, in one batch %.12g", name, i, got.Grads[name][i], x)
			}
		}
	}
	return ""
}
