package losstest

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tame-rlhf/tame/pkg/train"
)

// poisons are what CheckMask puts where nothing counts. 1e30 catches what tests for NaN and Inf and goes on.
var poisons = []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e30, -1e30}

// CheckMask puts NaN, Inf and 1e30 into every column of the case wherever nothing counts: behind the masks (the columns
// Mask, SegMask, PairMask and those of Case.MaskOf where they are 0) and in unused slots, segments and groups. It wants the same loss, metrics
// and gradients bit for bit, and gradients that are exactly 0 there. It looks in float64 and in float32.
//
// A loss must select by its mask (Expr's Where, MaskedSum, MaskedMean), not multiply by it: NaN times 0 is NaN.
func CheckMask[In any](t TB, loss func(In) (train.Terms, error), c Case) {
	t.Helper()
	for _, c.Float32 = range []bool{false, true} {
		if err := checkMask(loss, c); err != nil {
			t.Errorf("%v", err)
			return
		}
	}
}

func checkMask[In any](loss func(In) (train.Terms, error), c Case) error {
	e, err := build(loss, c)
	if err != nil {
		return err
	}
	poisoned := func(from Case, x float64, only string) (Case, bool) {
		p, some := from.clone(), false
		for _, col := range p.columns() {
			if !c.isMask(col) && (only == "" || only == col.name) {
				some = p.pour(col, x) || some
			}
		}
		return p, some
	}
	clean, some := poisoned(c, 0, "")
	if !some {
		return errors.New("losstest: CheckMask: the case has no entry that a mask leaves out and no unused one")
	}
	want, err := e.run(clean)
	if err != nil {
		return err
	}
	if math.IsNaN(want.Loss) || math.IsInf(want.Loss, 0) {
		return fmt.Errorf("losstest: CheckMask: the loss is %v with zeros where nothing counts", want.Loss)
	}
	diff, err := e.differs(c, clean, want)
	if err != nil {
		return err
	}
	if diff != "" {
		return fmt.Errorf("losstest: CheckMask: with zeros where nothing counts: %s", diff)
	}
	for _, x := range poisons {
		dirty, _ := poisoned(c, x, "")
		diff, err := e.differs(c, dirty, want)
		if err != nil {
			return err
		}
		if diff == "" {
			continue
		}
		// Say which column it comes through, if one alone is enough.
		through := "several columns together"
		for _, col := range c.columns() {
			dirty, _ := poisoned(clean, x, col.name)
			if alone, err := e.differs(c, dirty, want); err == nil && alone != "" {
				through, diff = col.name, alone
				break
			}
		}
		return fmt.Errorf("losstest: CheckMask: %g where nothing counts leaks through %s: %s", x, through, diff)
	}
	return nil
}

// pour puts x into the entries of a column that do not count. It reports whether there are any.
func (c Case) pour(col column, x float64) bool {
	w, some := c.width(col), false
	for i, h := range c.hidden(col) {
		for j := i * w; h && j < (i+1)*w; j++ {
			col.data[j] = x
			some = true
		}
	}
	return some
}

// differs runs the poisoned case and says what is not as wanted.
func (e *evaluator) differs(c, dirty Case, want Result) (string, error) {
	got, err := e.run(dirty)
	if err != nil {
		return "", err
	}
	same := func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }
	if !same(got.Loss, want.Loss) {
		return fmt.Sprintf("the loss is %.9g instead of %.9g", got.Loss, want.Loss), nil
	}
	for _, m := range e.terms.Metrics {
		if !same(got.Metrics[m.Name], want.Metrics[m.Name]) {
			return fmt.Sprintf("the metric %q is %.9g instead of %.9g", m.Name, got.Metrics[m.Name], want.Metrics[m.Name]), nil
		}
	}
	for _, col := range c.columns() {
		if !slices.Contains(c.Wrt, col.name) {
			continue
		}
		hidden, w := c.hidden(col), c.width(col)
		for i, g := range got.Grads[col.name] {
			if hidden[i/w] && g != 0 {
				return fmt.Sprintf("the gradient of %s[%d], which does not count, is %.9g", col.name, i, g), nil
			}
			if !hidden[i/w] && !same(g, want.Grads[col.name][i]) {
				return fmt.Sprintf("the gradient of %s[%d] is %.9g instead of %.9g", col.name, i, g, want.Grads[col.name][i]), nil
			}
		}
	}
	return "", nil
}
